"""`patchdrop predict` as PyTorch would do it: image files in, a line with class and mask for each out. See bench/predict.ts.

    python3 bench/predict-peer.py --load runs/finetune/last --images cifar10/test --out lines.jsonl --threads 2

It opens a checkpoint of this program, of R32_C10 or R34_fMoW (2019), whose policy decides once; takes a patch where its
probability is at least 0.5; and has PyTorch's best settings: channels-last, inference mode, memory kept, bfloat16 autocast with
--precision bf16. Files are read by torchvision or Pillow (--reader), in a DataLoader with --workers processes.
"""

import argparse
import json
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.io import ImageReadMode, decode_jpeg, read_file
from torchvision.transforms import v2

from class_folders import load_safetensors
from peer import keep_memory
from networks import Classifier, Policy  # where peer.py looks for modules
from method import low_resolution

PATCHES = 16


class Files(Dataset):
    """Bytes [3, S, S] of each file, by the transform of the run's test images."""

    def __init__(self, paths: list[str], reader: str, size: int) -> None:
        self.paths, self.reader = paths, reader
        # Both transforms that are here have the shorter side at the image's size and take the middle.
        self.transform = v2.Compose([v2.Resize(size, antialias=True), v2.CenterCrop(size)])

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> Tensor:
        if self.reader == "torchvision":
            return self.transform(decode_jpeg(read_file(self.paths[i]), ImageReadMode.RGB))
        with Image.open(self.paths[i]) as image:
            return v2.functional.pil_to_tensor(self.transform(image.convert("RGB")))


def large_networks(classes: int) -> tuple[nn.Module, nn.Module]:
    from resnets import Policy2019
    from torchvision.models import resnet34

    return Policy2019(), resnet34(num_classes=classes)


def open_networks(folder: Path, description: dict) -> list[nn.Module]:
    """Policy and classifier."""
    make = {"R32_C10": lambda classes: (Policy(PATCHES), Classifier(classes)), "R34_fMoW": large_networks}
    networks = make[description["model"]](len(description["classes"]))
    for network, name in zip(networks, ("agent", "resnet_hr"), strict=True):
        saved, own = load_safetensors(folder / f"{name}.safetensors"), network.state_dict()
        # A value head that nothing uses is not in every checkpoint.
        network.load_state_dict({key: saved.get(key, own[key]) for key in own})
        network.eval().to(memory_format=torch.channels_last)
    return list(networks)


def fault_of(description: dict) -> str | None:
    """Why this side cannot open such a run."""
    wanted = {"model": ("R32_C10", "R34_fMoW"), "variant": ("2019",), "transform": ("cifar", "fmow"), "rounds": (1, None)}
    for key, known in wanted.items():
        if description.get(key) not in known:
            return f"{key} must be one of {', '.join(map(str, known))}, got {description.get(key)}"
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--load", type=Path, required=True, help="folder of a checkpoint")
    parser.add_argument("--images", type=Path, required=True, help="folder with class folders of JPEG files")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--reader", choices=["torchvision", "pil"], default="torchvision")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--batch_size", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    args = parser.parse_args()
    description = json.loads((args.load / "state.json").read_text())["config"]["description"]
    fault = fault_of(description)
    if fault is not None:
        parser.error(f"--load: {fault}")
    torch.set_num_threads(args.threads)
    keep_memory()
    policy, classifier = open_networks(args.load, description)
    size, classes, normalization = description["imageSize"], description["classes"], description["normalization"]
    mean, std = (torch.tensor(normalization[key]).view(3, 1, 1) for key in ("mean", "std"))
    paths = sorted(str(path) for path in args.images.resolve().glob("*/*.jpg"))
    loader = DataLoader(Files(paths, args.reader, size), args.batch_size, num_workers=args.workers)
    done = 0
    with args.out.open("w") as out, torch.inference_mode():
        for pixels in loader:
            images = ((pixels.float() / 255 - mean) / std).contiguous(memory_format=torch.channels_last)
            low = low_resolution(images, description["lowSize"])
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=args.precision == "bf16"):
                mask = (torch.sigmoid(policy(low).float()) >= 0.5).float()
                side = round(PATCHES**0.5)
                there = F.interpolate(mask.view(-1, 1, side, side), size=size)
                seen = images * there if description["fill"] == "zero" else torch.lerp(low, images, there)
                predicted = classifier(seen).argmax(1)
            for path, label, bits in zip(paths[done : done + len(pixels)], predicted.tolist(), mask.int().tolist(), strict=True):
                out.write(json.dumps({"path": path, "class": classes[label], "mask": "".join(map(str, bits))}) + "\n")
            done += len(pixels)


if __name__ == "__main__":
    main()
