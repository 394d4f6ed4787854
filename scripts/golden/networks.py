"""The networks of the 2019 PatchDrop for CIFAR, with the parameter names of its checkpoints.

Written from the description: He et al. 2015 (arXiv 1512.03385, section 4.2, shortcut "A") for the classifier, Uzkent &
Ermon 2020 for the policy. B batch, C channels, H W, P patches, K classes.
"""

import torch.nn.functional as F
from torch import Tensor, nn


class Block(nn.Module):
    """Two 3×3 convolutions and a shortcut without parameters."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.new_channels = channels - channels_in
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x))

    def shortcut(self, x: Tensor) -> Tensor:
        """Averages by the stride, then appends channels of zeros."""
        if self.stride > 1:
            x = F.avg_pool2d(x, self.stride)
        if self.new_channels > 0:
            x = F.pad(x, (0, 0, 0, 0, 0, self.new_channels))
        return x


class Features(nn.Module):
    """Images [B, 3, 32, 32] to features [B, 64]: 3 segments of blocks at 16, 32, 64 channels, strides 1, 2, 2."""

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.blocks = nn.ModuleList(
            nn.ModuleList(
                Block(before if b == 0 else channels, channels, stride if b == 0 else 1) for b in range(blocks)
            )
            for before, channels, stride in [(16, 16, 1), (16, 32, 2), (32, 64, 2)]
        )

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        for segment in self.blocks:
            for block in segment:
                x = block(x)
        return self.pool(x)

    def pool(self, x: Tensor) -> Tensor:
        """The mean over all positions: [B, 64, 8, 8] to [B, 64]."""
        return F.avg_pool2d(x, 8).flatten(1)


class Classifier(Features):
    """ResNet-32 for CIFAR: images [B, 3, 32, 32] to logits [B, K]. 464,154 parameters for 10 classes."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__(blocks=5)
        self.fc = nn.Linear(64, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(super().forward(x))


class Policy(nn.Module):
    """Low-resolution images, resized back to [B, 3, 32, 32], to logits [B, P]. 76,720 parameters.

    `vnet` is the value head that the 2019 checkpoints hold and nothing uses.
    """

    def __init__(self, patches: int = 16) -> None:
        super().__init__()
        self.features = Features(blocks=1)
        self.logit = nn.Linear(64, patches)
        self.vnet = nn.Linear(64, patches)

    def forward(self, x: Tensor) -> Tensor:
        return self.logit(self.features(x))


def count_parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())
