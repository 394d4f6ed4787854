"""Writes `test/golden/resnets.json`: the larger networks, from the formula's weights, as torchvision computes them.

    python3 scripts/golden/resnets.py            write the file
    python3 scripts/golden/resnets.py --check    recompute and compare; exit 1 beyond the tolerance
    python3 scripts/golden/resnets.py --spread   print how far the channels-last layout leads: what a test must tolerate

It needs torch, torchvision and numpy. resnet34, resnet50, resnet101 are torchvision's own, with a last layer for 7
classes. The policy of 2019 and the wide networks of 2020 are torchvision's blocks in another frame, under the names of the
authors' checkpoints.
"""

from collections.abc import Callable

import formula
import torch
import torch.nn.functional as F
import torchvision
from make import FOLDER, compare
from one_file import parser, serve
from summary import gradients, numbers, running_statistics
from torch import Tensor, nn
from torchvision.models import resnet18, resnet34, resnet50, resnet101
from torchvision.models.resnet import BasicBlock

FILE = FOLDER / "resnets.json"
CLASSES, PATCHES = 7, 16
WIDTHS = [64, 128, 256, 512]
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def segments(blocks: list[int]) -> list[list[BasicBlock]]:
    """torchvision's basic blocks with its projection shortcuts."""
    result, channels = [], 64
    for width, count in zip(WIDTHS, blocks, strict=True):
        stride = 1 if width == 64 else 2
        first = nn.Sequential(nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width))
        result.append(
            [BasicBlock(channels, width, stride, None if channels == width else first)]
            + [BasicBlock(width, width) for _ in range(count - 1)]
        )
        channels = width
    return result


class Features(nn.Module):
    """The body of the 2019 policy: a 7 × 7 stem, blocks as `blocks.S.B`, projections as `ds.S`."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        parts = segments([1, 1, 1, 1])
        self.ds = nn.ModuleList(segment[0].downsample or nn.Sequential() for segment in parts)
        for segment in parts:
            segment[0].downsample = None
        self.blocks = nn.ModuleList(nn.ModuleList(segment) for segment in parts)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        for projection, (block,) in zip(self.ds, self.blocks, strict=True):
            y = block.bn2(block.conv2(F.relu(block.bn1(block.conv1(x)))))
            x = F.relu(y + projection(x))
        return x.mean((2, 3))  # there: AvgPool2d(4), which a 2 × 2 map does not fill


class Policy2019(nn.Module):
    """Images are halved first."""

    def __init__(self) -> None:
        super().__init__()
        self.features = Features()
        self.logit = nn.Linear(512, PATCHES)

    def forward(self, x: Tensor) -> Tensor:
        return self.logit(self.features(F.avg_pool2d(x, 2)))


class WideCifar(nn.Module):
    """The network of 2020 for 32 × 32 images: a 3 × 3 stem, projections called `shortcut`, the last layer `linear`."""

    def __init__(self, blocks: list[int], outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        for number, segment in enumerate(segments(blocks), start=1):
            setattr(self, f"layer{number}", nn.Sequential(*segment))
        self.linear = nn.Linear(512, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        for number in range(1, 5):
            x = getattr(self, f"layer{number}")(x)
        return self.linear(x.mean((2, 3)))


def renamed(name: str) -> str:
    return name.replace("downsample", "shortcut")


def identity(name: str) -> str:
    return name


# Name → (network, side of the images, the file's name of a parameter).
CASES: dict[str, tuple[Callable[[], nn.Module], int, Callable[[str], str]]] = {
    "resnet34": (lambda: resnet34(num_classes=CLASSES), 64, identity),
    "resnet50": (lambda: resnet50(num_classes=CLASSES), 64, identity),
    "resnet101": (lambda: resnet101(num_classes=CLASSES), 64, identity),
    "policy2019": (Policy2019, 112, identity),
    "policy2020": (lambda: resnet18(num_classes=PATCHES), 56, identity),
    "wideClassifier": (lambda: WideCifar([3, 4, 6, 3], CLASSES), 32, renamed),
    "widePolicy": (lambda: WideCifar([1, 1, 1, 1], PATCHES), 8, renamed),
}
BASE = 500_000
"""Salt of a network's first tensor, in the order of its state dict, buffers counted."""
IMAGES = 4


def batch(size: int) -> Tensor:
    bytes_ = formula.images(IMAGES, size).float() / 255
    return ((bytes_ - torch.tensor(MEAN)) / torch.tensor(STD)).permute(0, 3, 1, 2).contiguous()


def case(name: str, channels_last: bool) -> dict:
    make, size, rename = CASES[name]

    def one_pass(training: bool) -> dict:
        network = formula.fill(make(), BASE).train(training)
        images = batch(size)
        if channels_last:
            network, images = network.to(memory_format=torch.channels_last), images.to(memory_format=torch.channels_last)
        logits = network(images)
        loss = F.cross_entropy(logits, torch.arange(IMAGES))
        loss.backward()
        found = {"logits": numbers(logits), "loss": numbers(loss), "gradients": gradients(network, first=0)}
        if training:
            found["statistics"] = running_statistics(network)
        for key in ("gradients", "statistics"):
            if key in found:
                found[key] = {rename(n): value for n, value in found[key].items()}
        return found

    shapes = {rename(n): list(t.shape) for n, t in make().state_dict().items()}
    return {"size": size, "shapes": shapes, "eval": one_pass(False), "train": one_pass(True)}


def content(channels_last: bool = False) -> dict:
    return {
        "expression": "network(images); cross_entropy(logits, [0, 1, 2, 3]).backward()",
        "torch": torch.__version__.split("+")[0],
        "torchvision": torchvision.__version__.split("+")[0],
        "script": "scripts/golden/resnets.py",
        "base": BASE,
        "images": IMAGES,
        "networks": {name: case(name, channels_last) for name in CASES},
    }


def distances(found: dict, golden: dict) -> list[tuple[float, str]]:
    """The largest of each part of each network."""
    return [
        max(compare(found["networks"][name][key][part], values, f"{name}.{key}.{part}"))
        for name in CASES
        for key in ("eval", "train")
        for part, values in golden["networks"][name][key].items()
    ]


def main() -> None:
    torch.set_num_threads(1)
    serve(parser(__doc__).parse_args(), FILE, content, distances)


if __name__ == "__main__":
    main()
