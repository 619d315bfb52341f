"""GPT-2: a Transformer decoder that predicts the next token of a text.

Radford et al., Language Models are Unsupervised Multitask Learners, 2019.
"""

from typing import Literal

from pydantic import Field, model_validator

from tidemill.core.params import Fraction
from tidemill.core.params import Params as Block
from tidemill.core.pinned import PinnedFile
from tidemill.core.spec import Kind

ACCEPTS: tuple[Kind, ...] = (("tokens", "next token"),)
SOLVED = False


class Params(Block):
    """The size of the decoder; the published small one is 768 wide, with 12 heads and 12 layers."""

    name: Literal["gpt2"]
    width: int = Field(default=768, ge=1)
    """Width of the vector of a token."""
    heads: int = Field(default=12, ge=1)
    """Attention heads of a layer; they share its width."""
    layers: int = Field(default=12, ge=1)
    """Layers of attention."""
    dropout: Fraction = 0.1
    """Share of the embeddings, attention weights and residual updates that are dropped in training."""
    pretrained: PinnedFile | None = None
    """Weights of a GPT-2 of this size, in Hugging Face's format; null starts from random ones."""
    compile: bool = False
    """Whether training uses `torch.compile`: a minute at the start, then faster on a GPU."""

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> "Params":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self
