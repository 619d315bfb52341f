"""A residual network (He et al., 2016), ResNet-50 by default, with a new head."""

from typing import Literal

from pydantic import Field

from tidemill.core.spec import Kind
from tidemill.models.common.pretrained import Transfer

ACCEPTS: tuple[Kind, ...] = (("pixels", "labels"), ("pixels", "number"))
SOLVED = False


class Params(Transfer):
    """The layers of the base; the defaults are those of ResNet-50."""

    name: Literal["resnet"]
    depths: list[int] = Field(default=[3, 4, 6, 3], min_length=1)
    """Residual blocks of each stage."""
    widths: list[int] = Field(default=[256, 512, 1024, 2048], min_length=1)
    """Output channels of each stage."""
    stem: int = Field(default=64, ge=1)
    """Channels of the first convolution."""
    block: Literal["bottleneck", "basic"] = "bottleneck"
    """Three convolutions a residual block (`bottleneck`) or two (`basic`)."""
