"""EfficientNet-lite0 (Tan and Le, 2019, in Google's variant for small devices), with a new head."""

from typing import Literal

from tidemill.models._pretrained import Transfer


class Params(Transfer):
    """Its layers are fixed: those of the published weights."""

    name: Literal["efficientnet"]
