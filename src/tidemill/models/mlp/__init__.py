"""A multilayer perceptron over the pixels of a picture."""

from typing import Literal

from pydantic import Field

from tidemill.config import Fraction
from tidemill.config import Params as Block


class Params(Block):
    """The layers between pixels and labels."""

    name: Literal["mlp"]
    hidden: list[int] = Field(default=[512], min_length=1)
    """Width of each hidden layer."""
    activation: Literal["relu", "tanh", "sigmoid"] = "relu"
    dropout: Fraction = 0.0
    """Share of the hidden values that are left out in training."""
