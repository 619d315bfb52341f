"""EfficientNet-lite0 (Tan and Le, 2019, in Google's variant for small devices), with a new head."""

from typing import Literal

from tidemill.core.spec import Kind
from tidemill.models.common.pretrained import Transfer

ACCEPTS: tuple[Kind, ...] = (("pixels", "labels"), ("pixels", "number"))
SOLVED = False


class Params(Transfer):
    """The layers are fixed: those of the published weights."""

    name: Literal["efficientnet"]
