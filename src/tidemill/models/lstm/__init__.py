"""An embedding and a long short-term memory over the tokens of a text."""

from typing import Literal

from pydantic import Field

from tidemill.config import Fraction
from tidemill.config import Params as Block


class Params(Block):
    """The width and kind of the layers."""

    name: Literal["lstm"]
    embedding: int = Field(default=50, ge=1)
    hidden: int = Field(default=128, ge=1)
    layers: int = Field(default=1, ge=1)
    bidirectional: bool = False
    pooling: Literal["last", "max"] = "last"
    """What stands for the text: the state after its last token, or the largest of each value over all tokens."""
    dropout: Fraction = 0.0
    """Share of the embedded and of the pooled values that are left out in training."""
