"""How a tensor stands in a golden file: complete, or as a summary of a few numbers; and how far two of them are apart.

A summary of n elements x_i, computed in float64, is [n, sum, norm, dot, x_0, x_1, x_2, x_3]: Σ x_i, the L2 norm, and
Σ x_i · (value(i, CHECKSUM) - 0.5), so that neither permuted elements nor a changed sign go unnoticed. What an optimizer
changed is a summary without first elements, [n, sum, norm, dot]. The three have 7 significant digits where not said, elements 9.
"""

import math
from collections.abc import Iterable, Mapping

import formula
import torch
from torch import Tensor, nn


class Summary(list[float]):
    """[n, sum, norm, dot, x_0 …]; a type of its own, so that a comparison knows it from a list of elements."""


def nine_digits(x: float) -> float:
    """Enough to tell any two float32 apart."""
    return float(f"{x:.9g}")


def numbers(tensor: Tensor) -> list:
    """A complete tensor, as nested lists."""
    return _rounded(tensor.detach().double().tolist())


def _rounded(x):
    return [_rounded(y) for y in x] if isinstance(x, list) else nine_digits(x)


def bits(masks: Tensor) -> list[str]:
    """Masks [B, P] as one text an image, patch 0 first: "0110…"."""
    return ["".join(str(int(a)) for a in row) for row in masks.tolist()]


def summary(tensor: Tensor, first: int = 4, digits: int = 7) -> Summary:
    flat = tensor.detach().double().reshape(-1)
    dot = flat @ torch.from_numpy(formula.values(flat.numel(), formula.CHECKSUM) - 0.5)
    whole = (float(f"{x:.{digits}g}") for x in (flat.sum().item(), flat.norm().item(), dot.item()))
    return Summary([flat.numel(), *whole, *(nine_digits(x) for x in flat[:first].tolist())])


def gradients(network: nn.Module, first: int = 4) -> dict[str, Summary]:
    """A summary for each parameter that has a gradient."""
    return {name: summary(p.grad, first) for name, p in network.named_parameters() if p.grad is not None}


def running_statistics(network: nn.Module) -> dict[str, Summary]:
    return {name: summary(b) for name, b in network.named_buffers() if "running" in name}


def snapshot(network: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in network.named_parameters()}


def changes(network: nn.Module, before: Mapping[str, Tensor]) -> dict[str, Summary]:
    """[n, sum, norm, dot] of (now - before), in float64, for each parameter that an optimizer was given a gradient for.

    Changes rather than values: a step of 1e-4 would hide in the digits of the weights.
    """
    moved: Iterable[tuple[str, Tensor]] = ((n, p) for n, p in network.named_parameters() if p.grad is not None)
    return {name: summary(p.double() - before[name].double(), first=0) for name, p in moved}


def distance(found: Summary, golden: list[float]) -> float:
    """How far apart two summaries are, relative to the size of the tensor; infinite if their n differ.

    Sum, norm and product by the norm (the size of a sum of n independent errors as large as the elements), the elements
    by their root mean square, norm / √n.
    """
    count, _, norm, *_ = golden
    if found[0] != count or len(found) != len(golden):
        return math.inf
    sizes = [norm] * 3 + [norm / math.sqrt(count)] * (len(golden) - 4)
    return max(abs(x - y) / max(size, 1e-30) for x, y, size in zip(found[1:], golden[1:], sizes, strict=True))
