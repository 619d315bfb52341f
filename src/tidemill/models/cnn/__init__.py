"""A plain convolutional network over the pixels of a picture."""

from typing import Annotated, Literal

from pydantic import Field

from tidemill.core.params import Fraction
from tidemill.core.spec import Kind
from tidemill.models.common.choices import Activation, Initialisation
from tidemill.models.common.params import ModelParams

ACCEPTS: tuple[Kind, ...] = (("pixels", "labels"), ("pixels", "number"))
SOLVED = False


class Params(ModelParams):
    """The layers between pixels and labels: blocks that halve height and width, and a linear layer."""

    name: Literal["cnn"]
    channels: list[Annotated[int, Field(ge=1)]] = Field(default=[32, 64, 128], min_length=1)
    """Channels of each block: a convolution of 3 x 3, and the largest of each 2 x 2 of its values."""
    normalisation: bool = True
    """Whether each convolution is followed by batch normalisation (Ioffe and Szegedy, 2015)."""
    activation: Activation = "relu"
    """Function after each convolution."""
    initialisation: Initialisation = "default"
    """How the first weights are drawn."""
    dropout: Fraction = 0.0
    """Share of the values before the linear layer that are dropped in training."""

    def not_private(self) -> str | None:
        """Return why batch normalisation stands in the way."""
        return (
            "batch normalisation mixes the rows of a batch: set normalisation to false" if self.normalisation else None
        )
