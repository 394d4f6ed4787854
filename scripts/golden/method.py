"""The paper's mathematics in PyTorch, one function an equation (Uzkent & Ermon 2020, section 3, and its 2019 code).

B batch, P patches, K classes, S image side. Masks and actions are float 0 or 1.
"""

from functools import cache
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Bernoulli

CIFAR_MEAN = (125.3, 123.0, 113.9)
CIFAR_STD = (63.0, 62.1, 66.7)


def normalize(images: Tensor) -> Tensor:
    """Bytes [B, S, S, 3] to float32 [B, 3, S, S]: (x / 255 - mean) / std with CIFAR's mean and std."""
    mean, std = statistics(images.device)
    return (images.permute(0, 3, 1, 2).contiguous().float() / 255 - mean) / std


@cache
def statistics(device: torch.device) -> tuple[Tensor, Tensor]:
    """CIFAR's mean and std as [3, 1, 1]; made once, since a CUDA graph cannot upload them."""
    mean = torch.tensor(CIFAR_MEAN).div(255).view(3, 1, 1)
    std = torch.tensor(CIFAR_STD).div(255).view(3, 1, 1)
    return mean.to(device), std.to(device)


def low_resolution(images: Tensor, size: int) -> Tensor:
    """Images [B, 3, S, S] at `size` × `size` and back at S × S, both by nearest: the top left pixel of each block."""
    return F.interpolate(F.interpolate(images, size=size), size=images.shape[-1])


def mask_patches(images: Tensor, actions: Tensor) -> Tensor:
    """Images [B, 3, S, S] with zeros where the action [B, P] of a patch is 0; patches are numbered row by row."""
    side = round(actions.shape[1] ** 0.5)
    return images * F.interpolate(actions.view(-1, 1, side, side), size=images.shape[-1])


def bounded(probabilities: Tensor, alpha: float) -> Tensor:
    """alpha · p + (1 - alpha) · (1 - p), for exploration."""
    return alpha * probabilities + (1 - alpha) * (1 - probabilities)


def sample(probabilities: Tensor, uniforms: Tensor) -> Tensor:
    """Actions a ~ Bernoulli(p): a = [u < p]."""
    return (uniforms < probabilities).float()


def greedy(probabilities: Tensor) -> Tensor:
    """The baseline's actions: [p >= 0.5]."""
    return (probabilities >= 0.5).float()


def decide_leading(actions: Tensor, decided: int) -> Tensor:
    """The curriculum: all patches after the first `decided` ones are taken."""
    actions = actions.clone()
    actions[:, decided:] = 1
    return actions


def correct(logits: Tensor, labels: Tensor) -> Tensor:
    """1 where the largest logit [B, K] is the label's, else 0: float [B]."""
    return (logits.argmax(1) == labels).float()


def reward(
    right: Tensor, actions: Tensor, penalty: float, rule: Literal["quadratic", "linear"] = "quadratic"
) -> Tensor:
    """Rewards [B]. Quadratic: 1 - (|a| / P)² if right, else `penalty`. Linear (2019): 1 - |a| / P + ½ · [right]."""
    used = actions.mean(1)
    if rule == "linear":
        return 1 - used + 0.5 * right
    return torch.where(right.bool(), 1 - used**2, torch.full_like(used, penalty))


def log_probability(probabilities: Tensor, actions: Tensor) -> Tensor:
    """log p(a_k) of each action: [B, P]."""
    return Bernoulli(probabilities).log_prob(actions)


def policy_loss_mean(probabilities: Tensor, actions: Tensor, advantage: Tensor, decided: int) -> Tensor:
    """Pretraining: the mean over B and all P of -log p(a_k) · A, where patches after the first `decided` count as 0."""
    terms = -log_probability(probabilities, actions) * advantage[:, None]
    mask = torch.zeros_like(terms)
    mask[:, :decided] = 1
    return (mask * terms).mean()


def policy_loss_sum(probabilities: Tensor, actions: Tensor, advantage: Tensor) -> Tensor:
    """Finetuning: the mean over B of -Σ_k log p(a_k) · A."""
    return (-log_probability(probabilities, actions).sum(1) * advantage).mean()


def entropy(probabilities: Tensor) -> Tensor:
    """-p log p - (1 - p) log(1 - p) of each action, in nats: [B, P]."""
    return Bernoulli(probabilities).entropy()
