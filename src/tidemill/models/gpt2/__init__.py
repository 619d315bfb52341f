"""GPT-2: a Transformer decoder that predicts the next token of a text.

Radford et al., Language Models are Unsupervised Multitask Learners, 2019.
"""

from typing import Literal

from pydantic import Field, model_validator

from tidemill.config import Fraction
from tidemill.config import Params as Block
from tidemill.models._pretrained import Pretrained


class Params(Block):
    """The size of the decoder; the published small one is 768 wide, with 12 heads and 12 layers."""

    name: Literal["gpt2"]
    width: int = Field(default=768, ge=1)
    heads: int = Field(default=12, ge=1)
    layers: int = Field(default=12, ge=1)
    dropout: Fraction = 0.1
    """Share of the embedded, attended and added values that are left out in training."""
    pretrained: Pretrained | None = None
    """Weights of a GPT-2 of this size, in Hugging Face's format; null starts from random ones."""
    compile: bool = False
    """Whether training runs through `torch.compile`: a minute at the start, then faster on a GPU."""

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> "Params":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self
