"""A multilayer perceptron over the pixels of a picture, or over the columns of a table."""

from typing import Literal

from pydantic import Field

from tidemill.core.params import Fraction
from tidemill.core.spec import Kind
from tidemill.models.common.choices import Activation, Initialisation
from tidemill.models.common.params import ModelParams

ACCEPTS: tuple[Kind, ...] = (
    ("pixels", "labels"),
    ("pixels", "number"),
    ("columns", "labels"),
    ("columns", "number"),
)
SOLVED = False


class Params(ModelParams):
    """The layers between input and output."""

    name: Literal["mlp"]
    hidden: list[int] = Field(default=[512], min_length=1)
    """Width of each hidden layer."""
    activation: Activation = "relu"
    """Function after each hidden layer."""
    initialisation: Initialisation = "default"
    """How the first weights are drawn."""
    dropout: Fraction = 0.0
    """Share of the hidden values that are dropped in training."""

    def not_private(self) -> str | None:
        """Return None: each row passes through it alone."""
        return None
