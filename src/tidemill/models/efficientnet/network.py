"""EfficientNet-lite0 as a torch module.

Unlike EfficientNet-B0 it has no squeeze-and-excitation, and ReLU6 instead of swish. Source: Liu, "Higher accuracy on
vision models with EfficientNet-Lite" (2020), and the TensorFlow code it links, from which come the padding and the
constants of the batch norm.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from tidemill.core.spec import Spec
from tidemill.models.common.transfer import Base, Normalised, Transfer, load_base, own_base
from tidemill.models.efficientnet import Params

PRETRAINED_FILES = ("model.safetensors", "efficientnet-lite0.pth")
solve = None
explain = None
STEM, FEATURES = 32, 1280
MEAN, DEVIATION = (127 / 255,) * 3, (128 / 255,) * 3
"""What the published weights are trained with, for values from 0 to 1."""


class Stage(NamedTuple):
    """Blocks of one shape; the stride is that of the first."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    width: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


def build(params: Params, spec: Spec) -> Transfer:
    """Return a network from pictures (B, C, H, W) with values from 0 to 1 to logits (B, outputs)."""
    return Transfer(EfficientBase(), spec["outputs"], params)


def load_pretrained(network: Transfer, weights: dict[str, torch.Tensor]) -> None:
    """Load the base from published weights, whose names are ours with underscores before them, or from our own.

    Raises:
        TidemillError: they are of another model.
    """
    theirs = {".".join(part.lstrip("_") for part in name.split(".")): value for name, value in weights.items()}
    base = {name: value for name, value in theirs.items() if not name.startswith("fc.")}
    load_base(network, own_base(weights) or base)


class SameConvolution(nn.Conv2d):
    """A convolution without bias, padded as TensorFlow's "SAME": one more after than before where the sum is odd."""

    def __init__(self, inside: int, outside: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inside, outside, kernel, stride, groups=groups, bias=False)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return values (B, outside, H / stride, W / stride), rounded up, for values (B, inside, H, W)."""
        (up, down), (left, right) = self._padding(values.shape[2]), self._padding(values.shape[3])
        if (up, left) == (down, right):  # no copy of the values
            return functional.conv2d(values, self.weight, None, self.stride, (up, left), groups=self.groups)
        return super().forward(functional.pad(values, (left, right, up, down)))

    def _padding(self, size: int) -> tuple[int, int]:
        kernel, stride = self.kernel_size[0], self.stride[0]
        total = max(0, (-(-size // stride) - 1) * stride + kernel - size)
        return total // 2, total - total // 2


def _normalisation(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=1e-3, momentum=0.01)


class Block(nn.Module):
    """An inverted bottleneck (Sandler et al., 2018): more channels, a convolution in each, fewer channels."""

    def __init__(self, inside: int, stage: Stage, stride: int) -> None:
        super().__init__()
        wide = inside * stage.expansion
        self.expands = stage.expansion > 1
        self.skips = stride == 1 and inside == stage.width
        if self.expands:
            self.expand_conv = SameConvolution(inside, wide, 1)
            self.bn0 = _normalisation(wide)
        self.depthwise_conv = SameConvolution(wide, wide, stage.kernel, stride, groups=wide)
        self.bn1 = _normalisation(wide)
        self.project_conv = SameConvolution(wide, stage.width, 1)
        self.bn2 = _normalisation(stage.width)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return values (B, stage.width, H / stride, W / stride) for values (B, inside, H, W)."""
        wide = functional.relu6(self.bn0(self.expand_conv(values))) if self.expands else values
        wide = functional.relu6(self.bn1(self.depthwise_conv(wide)))
        narrow: torch.Tensor = self.bn2(self.project_conv(wide))
        return narrow + values if self.skips else narrow


class EfficientBase(Base):
    """EfficientNet-lite0 without its classifier."""

    width = FEATURES

    def __init__(self) -> None:
        super().__init__()
        self.normalised = Normalised(MEAN, DEVIATION)
        self.conv_stem, self.bn0 = SameConvolution(3, STEM, 3, stride=2), _normalisation(STEM)
        self.blocks = nn.ModuleList(_blocks())
        self.conv_head, self.bn1 = SameConvolution(STAGES[-1].width, FEATURES, 1), _normalisation(FEATURES)

    def parts(self) -> Sequence[nn.Module]:
        """Return the stem, each block, and the last convolution."""
        stem, last = nn.ModuleList([self.conv_stem, self.bn0]), nn.ModuleList([self.conv_head, self.bn1])
        return [stem, *self.blocks, last]

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return features (B, D): the mean of each channel over the picture."""
        values = functional.relu6(self.bn0(self.conv_stem(self.normalised(pixels))))
        for block in self.blocks:
            values = block(values)
        return functional.relu6(self.bn1(self.conv_head(values))).mean(dim=(2, 3))


def _blocks() -> Iterator[Block]:
    inside = STEM
    for stage in STAGES:
        for number in range(stage.blocks):
            yield Block(inside, stage, stage.stride if number == 0 else 1)
            inside = stage.width
