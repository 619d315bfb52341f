"""BERT: a bidirectional Transformer encoder, with a head for spans or for labels."""

from typing import Literal

from pydantic import Field, model_validator

from tidemill.core.params import Fraction
from tidemill.core.params import Params as Block
from tidemill.core.pinned import PinnedFile
from tidemill.core.spec import Kind

ACCEPTS: tuple[Kind, ...] = (("tokens", "labels"), ("tokens", "number"), ("token windows", "span"))
SOLVED = False


class Params(Block):
    """The shape of the encoder (the defaults are those of MiniLM-L6), and where its initial weights come from."""

    name: Literal["bert"]
    layers: int = Field(default=6, ge=1)
    """Layers of attention."""
    width: int = Field(default=384, ge=1)
    """Width of the vector of a token."""
    heads: int = Field(default=12, ge=1)
    """Attention heads of a layer; they share its width."""
    feed_forward: int = Field(default=1536, ge=1)
    """Width of the hidden layer between two attentions."""
    positions: int = Field(default=512, ge=1)
    """Tokens of the longest text that it can read."""
    dropout: Fraction = 0.1
    """Share of the embeddings and residual updates that are dropped in training."""
    attention_dropout: Fraction = 0.1
    """Share of the attention weights that are dropped in training; 0 allows a kernel that is faster by half."""
    frozen: int = Field(default=0, ge=0)
    """Lowest layers that keep their initial weights, and the embeddings with them; 0 trains everything."""
    pretrained: PinnedFile | None = None
    """Weights of a BERT of this shape; null starts from random ones."""

    @model_validator(mode="after")
    def _fits(self) -> "Params":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is no multiple of heads {self.heads}")
        if self.frozen > self.layers:
            raise ValueError(f"frozen {self.frozen} is more than layers {self.layers}")
        return self
