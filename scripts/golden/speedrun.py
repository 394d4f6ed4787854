"""Writes `test/golden/speedrun.json`: the network of the CIFAR-10 speed runs and two steps of Muon, written with torch.nn.

    python3 scripts/golden/speedrun.py            write the file
    python3 scripts/golden/speedrun.py --check    recompute and compare; exit 1 beyond the tolerance
    python3 scripts/golden/speedrun.py --spread   print what a test must tolerate: how far the channels-last layout leads

Written from the descriptions: arXiv 2404.00498, section 3, and Jordan et al., "Muon: An optimizer for hidden layers in neural
networks" (2024). Batch norms have the scale 1, which is not learned.
"""

import math

import formula
import torch
import torch.nn.functional as F
from make import FOLDER, compare
from one_file import parser, serve
from summary import changes, gradients, numbers, running_statistics, snapshot
from torch import Tensor, nn

FILE = FOLDER / "speedrun.json"
CLASSES = 10
BASE = 700_000
IMAGES = 8
WIDTHS = (64, 256, 256)
BIAS_RATE, HEAD_RATE = 440, 0.085
LR, MOMENTUM = 0.05, 0.85
FILTER_MOMENTUM, ITERATIONS = 0.6, 3


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs, eps=1e-12, momentum=0.4)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs, eps=1e-12, momentum=0.4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.bn1(F.max_pool2d(self.conv1(x), 2)))
        return F.gelu(self.bn2(self.conv2(x)))


class SpeedRun(nn.Module):
    def __init__(self):
        super().__init__()
        self.whiten = nn.Conv2d(3, 24, 2)
        self.blocks = nn.ModuleList(Block(i, o) for i, o in zip((24, *WIDTHS), WIDTHS, strict=False))
        self.head = nn.Linear(WIDTHS[-1], CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.whiten(x))
        for block in self.blocks:
            x = block(x)
        return self.head(F.max_pool2d(x, 3).mean((2, 3)))


def network(layout: torch.memory_format) -> SpeedRun:
    found = formula.fill(SpeedRun(), BASE)
    found.whiten.weight.requires_grad = False
    for module in found.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.fill_(1)
            module.weight.requires_grad = False
    return found.to(memory_format=layout)


def orthogonal(matrix: Tensor) -> Tensor:
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix / (matrix.norm() + 1e-7)
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    for _ in range(ITERATIONS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T if tall else x


class Muon:
    """Filters by Muon, biases and the last layer by SGD with Nesterov's momentum at rates of their own."""

    def __init__(self, model: SpeedRun):
        self.filters = [p for p in model.parameters() if p.requires_grad and p.ndim == 4]
        self.moments = [torch.zeros_like(p) for p in self.filters]
        head, head_bias = model.head.weight, model.head.bias
        others = [p for p in model.parameters() if p.requires_grad and p.ndim == 1 and p is not head_bias]
        groups = [(others, BIAS_RATE), ([head], HEAD_RATE), ([head_bias], 1)]
        self.rest = torch.optim.SGD(
            [{"params": parameters, "lr": LR * rate} for parameters, rate in groups], momentum=MOMENTUM, nesterov=True
        )

    @torch.no_grad()
    def step(self) -> None:
        for p, moment in zip(self.filters, self.moments, strict=True):
            moment.mul_(FILTER_MOMENTUM).add_(p.grad)
            update = orthogonal((p.grad + FILTER_MOMENTUM * moment).reshape(len(p), -1)).reshape(p.shape)
            p.mul_(math.sqrt(len(p)) / p.norm()).sub_(LR * update)
        self.rest.step()


def batch(layout: torch.memory_format) -> tuple[Tensor, Tensor]:
    images = formula.images(IMAGES).float().permute(0, 3, 1, 2) / 255 - 0.5
    return images.contiguous(memory_format=layout), torch.arange(IMAGES) % CLASSES


def content(otherwise: bool) -> dict:
    layout = torch.channels_last if otherwise else torch.contiguous_format
    images, labels = batch(layout)
    model = network(layout)
    found = {
        "expression": "network(images); cross_entropy(logits, labels, label_smoothing=0.2).backward(); two steps of Muon",
        "torch": torch.__version__.split("+")[0],
        "script": "scripts/golden/speedrun.py",
        "base": BASE,
        "images": IMAGES,
        "lr": LR,
        "momentum": MOMENTUM,
        "shapes": {name: list(t.shape) for name, t in model.state_dict().items()},
        "eval": numbers(model.eval()(images)),
    }
    model.train()
    optimizer = Muon(model)
    before = snapshot(model)
    steps = []
    for n in range(2):
        model.zero_grad()
        logits = model(images)
        loss = F.cross_entropy(logits, labels, label_smoothing=0.2)
        loss.backward()
        first = {"logits": numbers(logits), "gradients": gradients(model), "statistics": running_statistics(model)}
        optimizer.step()
        steps.append({"loss": numbers(loss), **(first if n == 0 else {}), "changes": changes(model, before)})
    return found | {"steps": steps}


def distances(found: dict, golden: dict) -> list[tuple[float, str]]:
    parts = [("eval", found["eval"], golden["eval"])]
    for n, step in enumerate(golden["steps"]):
        parts += [(f"{n}.{key}", found["steps"][n][key], value) for key, value in step.items()]
    return [max(compare(own, value, name)) for name, own, value in parts]


def main() -> None:
    args = parser(__doc__).parse_args()
    torch.set_num_threads(1)
    serve(args, FILE, content, distances)


if __name__ == "__main__":
    main()
