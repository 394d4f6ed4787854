"""Writes `test/golden/patch-net.json`: the classifier that works on the patches that are there, written with torch.nn.

    python3 scripts/golden/patch_net.py            write the file
    python3 scripts/golden/patch_net.py --check    recompute and compare; exit 1 beyond the tolerance
    python3 scripts/golden/patch_net.py --spread   print what a test must tolerate: how far the channels-last layout leads

The patches that are there are cut out one by one, and put back one by one. Images of 32 pixels have patches of 8, those of 64 patches of 16.
"""

import formula
import torch
import torch.nn.functional as F
from make import FOLDER, compare
from one_file import parser, serve
from summary import gradients, numbers, running_statistics
from torch import Tensor, nn

FILE = FOLDER / "patch-net.json"
CLASSES = 10
BASE = 900_000
TAKEN = (0, 1, 3, 5, 8, 11, 14, 16)
SEGMENTS = ((32, 1), (64, 2), (128, 1))
TOP = 64


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int = 1):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride, self.added = stride, outputs - inputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        shortcut = F.pad(F.avg_pool2d(x, self.stride), (0, 0, 0, 0, 0, self.added))
        return F.relu(y + shortcut)


class ConvBn(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x))


class Low(ConvBn):
    def __init__(self):
        super().__init__(4, TOP, 3)
        self.block = Block(TOP, TOP)

    def forward(self, x: Tensor) -> Tensor:
        return self.block(F.relu(super().forward(x)))


class Trunk(ConvBn):
    def __init__(self, strides: tuple[int, ...]):
        super().__init__(3, SEGMENTS[0][0], 3, strides[0])
        inputs = SEGMENTS[0][0]
        for segment, (channels, blocks) in enumerate(SEGMENTS):
            made = []
            for block in range(blocks):
                made.append(Block(inputs, channels, strides[1 + segment] if block == 0 else 1))
                inputs = channels
            self.add_module(str(segment), nn.ModuleList(made))

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(super().forward(x))
        for segment in range(len(SEGMENTS)):
            for block in self.get_submodule(str(segment)):
                x = block(x)
        return x


class PatchNet(nn.Module):
    def __init__(self, side: int):
        super().__init__()
        self.low = Low()
        self.trunk = Trunk((1, 1, 2, 2) if side < 64 else (2, 1, 2, 1))
        self.join = ConvBn(SEGMENTS[-1][0], TOP, 1)
        self.top = Block(TOP, TOP)
        self.fc = nn.Linear(TOP, CLASSES)

    def forward(self, seen: Tensor, mask: Tensor) -> Tensor:
        count, _, side, _ = seen.shape
        patch, small = side // 4, side // 16
        low = self.low(F.avg_pool2d(seen, 4))
        there = [(b, k // 4, k % 4) for b in range(count) for k in range(16) if mask[b, k] == 1]
        cut = [seen[b, :3, patch * r : patch * (r + 1), patch * c : patch * (c + 1)] for b, r, c in there]
        # A batch's statistics are those of the patches filled up to a multiple of 32, at most twice as many, by the first of them.
        more = min(-len(cut) % 32, len(cut))
        maps = self.trunk(torch.stack(cut + cut[:more]))[: len(cut)]
        rows = []
        for b in range(count):
            canvas = [[maps.new_zeros(maps.shape[1], small, small)] * 4 for _ in range(4)]
            for own, (image, r, c) in zip(maps, there, strict=True):
                if image == b:
                    canvas[r][c] = own
            rows.append(torch.cat([torch.cat(row, 2) for row in canvas], 1))
        met = F.relu(self.join(torch.stack(rows)) + low)
        return self.fc(self.top(met).mean((2, 3)))


def masks() -> Tensor:
    taken = torch.tensor(TAKEN).view(-1, 1)
    places = (7 * torch.arange(16).view(1, -1) + 3 * torch.arange(len(TAKEN)).view(-1, 1)) % 16
    return (places < taken).float()


def batch(side: int, layout: torch.memory_format) -> tuple[Tensor, Tensor, Tensor]:
    whole = formula.images(len(TAKEN)).float().permute(0, 3, 1, 2) / 255 - 0.5
    images = whole.repeat_interleave(side // 32, 2).repeat_interleave(side // 32, 3)
    mask = masks()
    grow = lambda x, by: x.repeat_interleave(by, -2).repeat_interleave(by, -1)  # noqa: E731
    there = grow(mask.view(-1, 1, 4, 4), side // 4)
    low = grow(images[:, :, ::4, ::4], 4)
    seen = torch.cat([torch.where(there == 1, images, low), there], 1)
    return seen.contiguous(memory_format=layout), mask, torch.arange(len(TAKEN)) % CLASSES


def of_side(side: int, layout: torch.memory_format) -> dict:
    seen, mask, labels = batch(side, layout)
    model = formula.fill(PatchNet(side), BASE).to(memory_format=layout)
    found = {
        "side": side,
        "shapes": {name: list(t.shape) for name, t in model.state_dict().items()},
        "eval": numbers(model.eval()(seen, mask)),
    }
    model.train()
    logits = model(seen, mask)
    loss = F.cross_entropy(logits, labels)
    loss.backward()
    step = {"loss": numbers(loss), "logits": numbers(logits)}
    return found | step | {"gradients": gradients(model), "statistics": running_statistics(model)}


def content(otherwise: bool) -> dict:
    layout = torch.channels_last if otherwise else torch.contiguous_format
    return {
        "expression": "network(seen, mask); cross_entropy(logits, labels).backward()",
        "torch": torch.__version__.split("+")[0],
        "script": "scripts/golden/patch_net.py",
        "base": BASE,
        "masks": masks().int().tolist(),
        "sides": [of_side(side, layout) for side in (32, 64)],
    }


def distances(found: dict, golden: dict) -> list[tuple[float, str]]:
    parts = []
    for n, own in enumerate(golden["sides"]):
        parts += [(f"{own['side']}.{key}", found["sides"][n][key], own[key]) for key in PARTS]
    return [max(compare(own, value, name)) for name, own, value in parts]


PARTS = ("eval", "loss", "logits", "gradients", "statistics")


def main() -> None:
    args = parser(__doc__).parse_args()
    torch.set_num_threads(1)
    serve(args, FILE, content, distances)


if __name__ == "__main__":
    main()
