"""Class folders of images in memory, and what a training says of itself, for PyTorch's sides that learn from files.

A training's folder is like a run folder of this program as far as the benchmark reads it: `metrics.jsonl` with a line
{"epoch": n, "split": "test", "accuracy": x, "time": t} for each evaluation ("sparsity", S, and "patches_std" too where a policy
chose), t in seconds since 1970 when it was done; and `epoch-N.jsonl` with a line {"path": …, "class": …, "mask": "0110…"}
for each of its test images.
"""

import json
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy
import torch
from torch import Tensor
from torchvision.io import ImageReadMode, decode_image, read_file


@dataclass(frozen=True)
class Images:
    pixels: Tensor
    """Bytes [N, S, S, 3]."""
    labels: Tensor
    """int64 [N]."""
    paths: list[str]
    classes: list[str]


def read(folder: Path, threads: int) -> Images:
    """All images of <folder>/<class>/, which must have one size."""
    classes = sorted(path.name for path in folder.iterdir() if path.is_dir())
    files = [(str(path), label) for label, name in enumerate(classes) for path in sorted((folder / name).iterdir())]
    with ThreadPoolExecutor(threads) as pool:
        pixels = list(pool.map(lambda file: decode_image(read_file(file[0]), ImageReadMode.RGB), files))
    labels = torch.tensor([label for _, label in files])
    stacked = torch.stack(pixels).permute(0, 2, 3, 1).contiguous()
    return Images(stacked, labels, [path for path, _ in files], classes)


def load_safetensors(file: Path) -> dict[str, Tensor]:
    """The tensors of a file of float32, float16 and int64, by name."""
    content = file.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    types = {"F32": numpy.float32, "F16": numpy.float16, "I64": numpy.int64}

    def tensor(entry: dict) -> Tensor:
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        array = numpy.frombuffer(content[begin:end], types[entry["dtype"]]).reshape(entry["shape"])
        return torch.from_numpy(array.copy())

    return {name: tensor(entry) for name, entry in header.items() if name != "__metadata__"}


class Log:
    """What a training says: to its folder, and as JSON lines on stdout with the seconds since it began."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.began = folder, time.time()
        folder.mkdir(parents=True, exist_ok=True)

    def say(self, **values: object) -> None:
        print(json.dumps({**values, "seconds": round(time.time() - self.began, 3)}), flush=True)

    def evaluated(self, epoch: int, images: Images, predicted: Tensor, masks: Tensor | None = None) -> float:
        """Writes an evaluation down: class [N] of each image, and its mask [N, P]. Returns the accuracy."""
        accuracy = (predicted == images.labels).double().mean().item()
        values: dict[str, float] = {"accuracy": accuracy}
        if masks is not None:
            taken = masks.sum(1).double()
            values |= {"sparsity": taken.mean().item(), "patches_std": taken.std().item()}
        with (self.folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps({"epoch": epoch, "split": "test", **values, "time": time.time()}) + "\n")
        bits = [None] * len(images.paths) if masks is None else ["".join(str(int(b)) for b in m) for m in masks]
        with (self.folder / f"epoch-{epoch}.jsonl").open("w") as file:
            for path, label, mask in zip(images.paths, predicted.tolist(), bits, strict=True):
                line = {"path": path, "class": images.classes[label]} | ({} if mask is None else {"mask": mask})
                file.write(json.dumps(line) + "\n")
        self.say(epoch=epoch, **values)
        return accuracy
