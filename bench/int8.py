"""What int8 arithmetic, as oneDNN has it, does to the answers of the two classifiers that come with the program; and how fast it is.

    python3 bench/int8.py answers --model cifar10 --data_dir cifar10      # class folders, train/ and test/
    python3 bench/int8.py answers --model aid --data_dir aid
    python3 bench/int8.py speed

It needs torch, torchvision, numpy and Pillow, and for aid the package efficientnet-lite-pytorch 0.1.0. docs/performance.md has what it said.

Batch norm is folded. int8: a tensor between layers is integers and one scale (uint8 after a ReLU, else int8, symmetric);
weights are int8 with one scale an output channel; a convolution sums integers exactly (float32 holds them: asserted), then
in float32 · scales + bias (+ shortcut · its scale), ReLU, and is rounded to even, once. The last layer's inputs are the means
of the last uint8 map; that layer is float32.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from class_folders import load_safetensors

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "scripts/golden"))
DRAWS = {"cifar10": 1, "aid": 2}
"""How many times a random mask is drawn for each test image."""
BATCH = {"cifar10": 500, "aid": 50}
PERCENTILE, BINS = 0.9999, 1 << 16
Weights = dict[str, Tensor]


# --- what is shipped ---


def weights_of(name: str) -> Weights:
    tensors = load_safetensors(REPOSITORY / "models" / name / "resnet_hr.safetensors")
    return {key: tensor.float() if tensor.dtype == torch.float16 else tensor for key, tensor in tensors.items()}


def folded(weights: Weights, pairs: list[tuple[str, str]], epsilon: float) -> dict[str, tuple[Tensor, Tensor]]:
    """(weight, bias) of each convolution, by its name, with its batch norm in it."""
    result = {}
    for conv, bn in pairs:
        w, g, b, mean, var = weights[f"{conv}.weight"], *(
            weights[f"{bn}.{part}"].double() for part in ("weight", "bias", "running_mean", "running_var")
        )
        factor = g / (var + epsilon).sqrt()
        result[conv] = ((w.double() * factor[:, None, None, None]).float(), (b - mean * factor).float())
    return result


def description(name: str) -> dict:
    return json.loads((REPOSITORY / "models" / name / "state.json").read_text())["config"]["description"]


# --- images ---


def images_of(name: str, folder: Path, count: int | None = None) -> tuple[Tensor, Tensor]:
    """Normalized [N, 3, S, S] and labels; of `count` images, drawn from all."""
    about = description(name)
    size, (mean, std) = about["imageSize"], (torch.tensor(about["normalization"][k]) for k in ("mean", "std"))
    files = [(f, n) for n, c in enumerate(about["classes"]) for f in sorted((folder / c).iterdir())]
    if count is not None:
        files = [files[i] for i in torch.randperm(len(files), generator=torch.Generator().manual_seed(1))[:count].tolist()]

    def pixels(file: Path) -> numpy.ndarray:
        image = Image.open(file).convert("RGB")
        if min(image.size) != size:
            w, h = (round(side * size / min(image.size)) for side in image.size)
            image = image.resize((w, h), Image.Resampling.BILINEAR)
            left, top = (w - size) // 2, (h - size) // 2
            image = image.crop((left, top, left + size, top + size))
        return numpy.asarray(image)

    bytes_ = torch.from_numpy(numpy.stack([pixels(f) for f, _ in files]))
    return ((bytes_.float() / 255 - mean) / std).permute(0, 3, 1, 2).contiguous(), torch.tensor([n for _, n in files])


def random_masks(patches: Tensor, seed: int) -> Tensor:
    """[N, 16] with patches[n] ones each, all choices alike."""
    noise = torch.rand(len(patches), 16, generator=torch.Generator().manual_seed(seed))
    return noise.argsort(1).argsort(1) < patches[:, None]


def masked(images: Tensor, masks: Tensor) -> Tensor:
    """Dropped patches show the LR image: of each 4 × 4 pixels the top left one."""
    low = images[:, :, ::4, ::4].repeat_interleave(4, 2).repeat_interleave(4, 3)
    side = images.shape[2] // 4
    taken = masks.view(-1, 1, 4, 4).repeat_interleave(side, 2).repeat_interleave(side, 3)
    return torch.where(taken, images, low)


# --- arithmetics: a value is what `image`, `conv` and `pool` return ---


class Float:
    def __init__(self, layers: dict[str, tuple[Tensor, Tensor]]) -> None:
        self.layers = layers

    def image(self, x: Tensor) -> Tensor:
        return x

    def conv(self, x, name: str, stride: int, act: str | None, add=None):
        w, b = self.layers[name]
        y = convolved(x, w, stride) + b[:, None, None]
        return activated(y if add is None else y + add, act)

    def halved(self, x, channels: int):
        return F.pad(F.avg_pool2d(x, 2), (0, 0, 0, 0, 0, channels))

    def means(self, x) -> Tensor:
        return x.float().mean((2, 3))


def convolved(x: Tensor, w: Tensor, stride: int) -> Tensor:
    """Padded with zeros: as TensorFlow's "same" has it, or with `cifar_padding` by half the kernel on each side."""
    kernel, size = w.shape[2], x.shape[2]
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    before = kernel // 2 if cifar_padding else total // 2
    after = kernel // 2 if cifar_padding else total - before
    groups = x.shape[1] // w.shape[1]
    if before == after:
        return F.conv2d(x, w, None, stride, before, 1, groups)
    return F.conv2d(F.pad(x, (before, after, before, after)), w, None, stride, 0, 1, groups)


cifar_padding = False


def activated(y: Tensor, act: str | None) -> Tensor:
    return y if act is None else F.relu(y) if act == "relu" else y.clamp(0, 6)


class Bf16(Float):
    """Weights and what is between layers in bf16, sums in float32: what oneDNN does today. For comparison."""

    def image(self, x: Tensor) -> Tensor:
        return x.bfloat16()

    def conv(self, x, name, stride, act, add=None):
        w, b = self.layers[name]
        y = convolved(x.float(), w.bfloat16().float(), stride) + b[:, None, None]
        return activated(y if add is None else y + add.float(), act).bfloat16()


class Observing(Float):
    """Keeps, of the image and of each convolution's output, the largest |x|; in a second pass how often which |x|."""

    def __init__(self, layers) -> None:
        super().__init__(layers)
        self.largest: dict[str, float] = {}
        self.counts: dict[str, Tensor] | None = None

    def see(self, name: str, x: Tensor) -> Tensor:
        if self.counts is None:
            self.largest[name] = max(self.largest.get(name, 0.0), x.abs().max().item())
        else:
            self.counts[name] = self.counts.get(name, 0) + torch.histc(x.abs(), BINS, 0, self.largest[name]).double()
        return x

    def image(self, x):
        return self.see("image", x)

    def conv(self, x, name, stride, act, add=None):
        return self.see(name, super().conv(x, name, stride, act, add))

    def percentiles(self) -> dict[str, float]:
        """Of |x|, all elements counted, those that are 0 as well."""
        result = {}
        for name, counts in self.counts.items():
            share = counts.cumsum(0) / counts.sum()
            result[name] = (int((share < PERCENTILE).sum()) + 1) / BINS * self.largest[name]
        return result


@dataclass(frozen=True)
class Quantized:
    integers: Tensor
    """As float32."""
    scale: float


class Int8:
    def __init__(self, layers: dict[str, tuple[Tensor, Tensor]], ranges: dict[str, float]) -> None:
        self.ranges, self.layers = ranges, {}
        for name, (w, b) in layers.items():
            scales = w.abs().amax((1, 2, 3)).clamp(min=1e-12) / 127
            self.layers[name] = ((w / scales[:, None, None, None]).round().clamp(-127, 127), scales, b)

    def quantized(self, x: Tensor, name: str, unsigned: bool) -> Quantized:
        scale = self.ranges[name] / (255 if unsigned else 127)
        return Quantized((x / scale).round().clamp(0 if unsigned else -128, 255 if unsigned else 127), scale)

    def image(self, x: Tensor) -> Quantized:
        return self.quantized(x, "image", unsigned=False)

    def conv(self, x: Quantized, name: str, stride: int, act: str | None, add: Quantized | None = None) -> Quantized:
        w, scales, b = self.layers[name]
        sums = convolved(x.integers, w, stride)
        assert sums.abs().max() < 1 << 24
        y = sums * (scales * x.scale)[:, None, None] + b[:, None, None]
        if add is not None:
            y = y + add.integers * add.scale
        return self.quantized(activated(y, act), name, unsigned=act is not None)

    def halved(self, x: Quantized, channels: int) -> Quantized:
        """Means of 4 integers, rounded."""
        return Quantized(F.pad(F.avg_pool2d(x.integers, 2).round(), (0, 0, 0, 0, 0, channels)), x.scale)

    def means(self, x: Quantized) -> Tensor:
        return x.integers.mean((2, 3)) * x.scale


# --- networks: images to logits ---


def resnet32(arithmetic, head: tuple[Tensor, Tensor], images: Tensor) -> Tensor:
    x = arithmetic.conv(arithmetic.image(images), "conv1", 1, "relu")
    for segment in range(3):
        for block in range(5):
            name, shrinks = f"blocks.{segment}.{block}", segment > 0 and block == 0
            shortcut = arithmetic.halved(x, 8 << segment) if shrinks else x
            y = arithmetic.conv(x, f"{name}.conv1", 2 if shrinks else 1, "relu")
            x = arithmetic.conv(y, f"{name}.conv2", 1, "relu", shortcut)
    return F.linear(arithmetic.means(x), *head)


# (blocks, stride) of each segment; kernels and channels are the weights'.
SEGMENTS = [(1, 1), (2, 2), (2, 2), (3, 2), (3, 1), (4, 2), (1, 1)]


def efficientnet(arithmetic, head: tuple[Tensor, Tensor], images: Tensor) -> Tensor:
    x = arithmetic.conv(arithmetic.image(images), "_conv_stem", 2, "relu6")
    index = 0
    for blocks, first_stride in SEGMENTS:
        for block in range(blocks):
            name, stride = f"_blocks.{index}", first_stride if block == 0 else 1
            y = x if index == 0 else arithmetic.conv(x, f"{name}._expand_conv", 1, "relu6")
            y = arithmetic.conv(y, f"{name}._depthwise_conv", stride, "relu6")
            x = arithmetic.conv(y, f"{name}._project_conv", 1, None, x if block > 0 else None)
            index += 1
    return F.linear(arithmetic.means(arithmetic.conv(x, "_conv_head", 1, "relu6")), *head)


def network_of(name: str) -> tuple[Callable[[object, Tensor], Tensor], dict, Callable[[Tensor], Tensor]]:
    """(arithmetic, images) → logits; the layers to compute it with; and the same as the repository's PyTorch has it."""
    global cifar_padding
    weights = weights_of(name)
    if name == "cifar10":
        from networks import Classifier

        cifar_padding = True
        blocks = [f"blocks.{s}.{b}." for s in range(3) for b in range(5)]
        pairs = [("conv1", "bn1")] + [(f"{b}conv{n}", f"{b}bn{n}") for b in blocks for n in (1, 2)]
        forward, head, epsilon, golden = resnet32, "fc", 1e-5, Classifier(10)
    else:
        from efficientnet_lite_pytorch import EfficientNet

        blocks = [f"_blocks.{b}._" for b in range(16)]
        kinds = {"expand_conv": "bn0", "depthwise_conv": "bn1", "project_conv": "bn2"}
        pairs = [("_conv_stem", "_bn0"), ("_conv_head", "_bn1")]
        pairs += [(b + c, b + n) for b in blocks for c, n in kinds.items() if f"{b}{c}.weight" in weights]
        golden = EfficientNet.from_name(
            "efficientnet-lite0", image_size=112, num_classes=30, dropout_rate=0.0, drop_connect_rate=0.0
        )
        forward, head, epsilon = efficientnet, "_fc", 1e-3
    golden.load_state_dict(weights, strict=False)
    missing = set(golden.state_dict()) - set(weights)
    assert all(key.endswith("num_batches_tracked") for key in missing), missing
    last = (weights[f"{head}.weight"], weights[f"{head}.bias"])
    return (lambda a, x: forward(a, last, x)), folded(weights, pairs, epsilon), golden.eval()


# --- the measurement ---


def probabilities(network, arithmetic, images: Tensor, batch: int) -> Tensor:
    return torch.cat([network(arithmetic, part).softmax(1) for part in images.split(batch)])


def compare(p: Tensor, q: Tensor, labels: Tensor) -> dict:
    """q beside p, float32's."""
    before, after = p.argmax(1), q.argmax(1)
    lost, won = ((before == labels) & (after != labels)).sum().item(), ((before != labels) & (after == labels)).sum().item()
    n, change = len(labels), (q.amax(1) - p.amax(1))
    return {
        "accuracy": round(100 * (after == labels).double().mean().item(), 2),
        "difference": round(100 * (won - lost) / n, 2),
        "± (95 %)": round(196 * ((won + lost) / n - ((won - lost) / n) ** 2) ** 0.5 / n**0.5, 2),
        "lost": lost,
        "won": won,
        "other class %": round(100 * (before != after).double().mean().item(), 2),
        "mean |d pmax|": round(change.abs().mean().item(), 4),
        "mean d pmax": round(change.mean().item(), 4),
        "|d pmax| 95 %": round(change.abs().quantile(0.95).item(), 4),
        "n": n,
    }


def answers(name: str, data: Path) -> None:
    began = time.time()

    def say(**values: object) -> None:
        print(json.dumps({**values, "seconds": round(time.time() - began)}), flush=True)

    network, layers, golden = network_of(name)
    batch = BATCH[name]
    calibration, _ = images_of(name, data / "train", 512)
    taken = torch.randint(0, 17, (512,), generator=torch.Generator().manual_seed(2))
    calibration = masked(calibration, random_masks(taken, 3))
    observing = Observing(layers)
    say(folding=(golden(calibration[:32]) - network(observing, calibration[:32])).abs().max().item())
    for counts in (None, {}):
        observing.counts = counts
        probabilities(network, observing, calibration, batch)
    percentile = observing.percentiles()
    ratios = sorted(percentile[k] / v for k, v in observing.largest.items())
    say(percentile_of_largest={"least": round(ratios[0], 3), "median": round(ratios[len(ratios) // 2], 3)})
    arithmetics = {
        "float32": Float(layers),
        "bf16": Bf16(layers),
        "int8 min-max": Int8(layers, observing.largest),
        "int8 99.99": Int8(layers, percentile),
    }
    images, labels = images_of(name, data / "test")
    for patches in (16, 8, 4):
        draws = 1 if patches == 16 else DRAWS[name]
        masks = [random_masks(torch.full((len(labels),), patches), 100 * patches + d) for d in range(draws)]
        found, all_labels = {}, labels.repeat(draws)
        for title, arithmetic in arithmetics.items():
            if title == "bf16" and patches < 16:
                continue  # slow here, and only to compare with
            parts = [probabilities(network, arithmetic, masked(images, m), batch) for m in masks]
            found[title] = torch.cat(parts)
            say(set=name, patches=patches, arithmetic=title, **compare(found["float32"], found[title], all_labels))


# --- oneDNN's own int8: speed, and whether it computes what is simulated above ---

SHAPES = [  # channels in, out, size, kernel, groups
    (64, 64, 32, 3, 1), (128, 128, 16, 3, 1), (256, 256, 8, 3, 1),
    (16, 16, 32, 3, 1), (32, 32, 16, 3, 1), (64, 64, 8, 3, 1),
    (24, 144, 28, 1, 1), (144, 144, 28, 5, 144),
]  # fmt: skip


def speed() -> None:
    torch.manual_seed(0)
    for channels, outputs, size, kernel, groups in SHAPES:
        n, pad = 128, kernel // 2
        layout = {"memory_format": torch.channels_last}
        qx = torch.randint(0, 256, (n, channels, size, size), dtype=torch.uint8).contiguous(**layout)
        qw = torch.randint(-127, 128, (outputs, channels // groups, kernel, kernel), dtype=torch.int8)
        scales, zeros, bias = torch.rand(outputs) / 100 + 0.01, torch.zeros(outputs, dtype=torch.int64), torch.randn(outputs)
        x_scale, out_scale = 0.02, 0.0002 * 255 * 127 * (channels // groups * kernel**2) ** 0.5 / 255
        packed = torch.ops.onednn.qconv_prepack(qw, scales, x_scale, 0, [1, 1], [pad, pad], [1, 1], groups, list(qx.shape))

        def int8() -> Tensor:
            return torch.ops.onednn.qconv2d_pointwise(
                qx, x_scale, 0, packed, scales, zeros, bias, [1, 1], [pad, pad], [1, 1], groups, out_scale, 0, torch.uint8, "relu", [], ""
            )

        sums = F.conv2d(qx.float(), qw.float(), None, 1, pad, 1, groups)
        simulated = ((sums * (scales * x_scale)[:, None, None] + bias[:, None, None]).relu() / out_scale).round().clamp(0, 255)
        difference = (int8().float() - simulated).abs()

        def floating(kind: torch.dtype) -> Callable[[], Tensor]:
            x, w, b = qx.to(kind).contiguous(**layout), qw.to(kind).contiguous(**layout), bias.to(kind)
            reordered = torch.ops.mkldnn._reorder_convolution_weight(w, [pad, pad], [1, 1], [1, 1], groups, list(x.shape))
            return lambda: torch.ops.mkldnn._convolution_pointwise(
                x, reordered, b, [pad, pad], [1, 1], [1, 1], groups, "relu", [], ""
            )

        ways = {"int8": int8, "bf16": floating(torch.bfloat16), "fp32": floating(torch.float32)}
        best = dict.fromkeys(ways, float("inf"))
        for way in list(ways.values()) * 3:
            way()
        for _ in range(12):
            for title, way in ways.items():
                began = time.process_time()
                way()
                best[title] = min(best[title], time.process_time() - began)
        operations = 2 * n * outputs * (channels // groups) * kernel**2 * size**2
        print(
            json.dumps({
                "shape": f"{n}x{channels}x{size}x{size} {kernel}x{kernel}→{outputs} groups {groups}",
                "ms (CPU time, best of 12)": {k: round(1000 * v, 2) for k, v in best.items()},
                "Gop/s": {k: round(operations / v / 1e9) for k, v in best.items()},
                "int8 over bf16": round(best["bf16"] / best["int8"], 2),
                "share that is not as simulated": difference.gt(0).double().mean().item(),
                "largest": difference.max().item(),
            }),
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    asked = commands.add_parser("answers", help="accuracy and answers beside float32's")
    asked.add_argument("--model", choices=sorted(BATCH), required=True)
    asked.add_argument("--data_dir", type=Path, required=True, help="class folders, train/ and test/")
    commands.add_parser("speed", help="single operators of oneDNN beside bf16 and float32")
    args = parser.parse_args()
    torch.set_num_threads(1)
    with torch.no_grad():
        if args.command == "speed":
            speed()
        else:
            answers(args.model, args.data_dir)


if __name__ == "__main__":
    main()
