"""A residual network (He et al., 2016), ResNet-50 by default, with a new head."""

from typing import Literal

from pydantic import Field

from tidemill.models._pretrained import Transfer


class Params(Transfer):
    """The layers of the base; the defaults are those of ResNet-50."""

    name: Literal["resnet"]
    depths: list[int] = Field(default=[3, 4, 6, 3], min_length=1)
    """Residual blocks of each stage."""
    widths: list[int] = Field(default=[256, 512, 1024, 2048], min_length=1)
    """Channels that each stage gives."""
    stem: int = Field(default=64, ge=1)
    """Channels of the first convolution."""
    block: Literal["bottleneck", "basic"] = "bottleneck"
