"""An embedding and a long short-term memory over the tokens of a text."""

from typing import Literal

from pydantic import Field

from tidemill.core.params import Fraction
from tidemill.core.spec import Kind
from tidemill.models.common.params import ModelParams

ACCEPTS: tuple[Kind, ...] = (("tokens", "labels"), ("tokens", "number"))
SOLVED = False


class Params(ModelParams):
    """The width and kind of the layers."""

    name: Literal["lstm"]
    embedding: int = Field(default=50, ge=1)
    """Width of the vector of a token."""
    hidden: int = Field(default=128, ge=1)
    """Width of the state."""
    layers: int = Field(default=1, ge=1)
    """LSTM layers, one on top of the other."""
    bidirectional: bool = False
    """Whether a second LSTM reads the text backwards."""
    pooling: Literal["last", "max"] = "last"
    """How states become one vector a text: the state after the last token, or the maximum of each value over all tokens."""
    dropout: Fraction = 0.0
    """Share of the embedded and of the pooled values that are dropped in training."""

    def not_private(self) -> str | None:
        """Return None: each row passes through it alone."""
        return None
