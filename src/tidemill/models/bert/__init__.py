"""BERT: a Transformer encoder that reads a text both ways, with a head for spans or for labels."""

from typing import Literal

from pydantic import Field, model_validator

from tidemill.config import Fraction
from tidemill.config import Params as Block
from tidemill.models._pretrained import Pretrained


class Params(Block):
    """The shape of the encoder (the defaults are those of MiniLM-L6), and where its first weights come from."""

    name: Literal["bert"]
    layers: int = Field(default=6, ge=1)
    width: int = Field(default=384, ge=1)
    heads: int = Field(default=12, ge=1)
    feed_forward: int = Field(default=1536, ge=1)
    """Width of the hidden layer between two attentions."""
    positions: int = Field(default=512, ge=1)
    """Tokens of the longest text it can read."""
    dropout: Fraction = 0.1
    """Share of the embedded and added values that are left out in training."""
    attention_dropout: Fraction = 0.1
    """Share of the attention that is left out in training; at 0 a kernel that is faster by half can be used."""
    frozen: int = Field(default=0, ge=0)
    """Lowest layers that keep their first weights, and the embeddings with them; 0 trains everything."""
    pretrained: Pretrained | None = None
    """Weights of a BERT of this shape; null starts from random ones."""

    @model_validator(mode="after")
    def _fits(self) -> "Params":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is no multiple of heads {self.heads}")
        if self.frozen > self.layers:
            raise ValueError(f"frozen {self.frozen} is more than layers {self.layers}")
        return self
