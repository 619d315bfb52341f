"""Gradient boosting of decision trees over the columns of a table, by LightGBM (Ke et al., 2017)."""

from typing import Annotated, Literal

from pydantic import Field

from tidemill.core.params import Params as Block
from tidemill.core.spec import Kind

ACCEPTS: tuple[Kind, ...] = (("columns", "labels"), ("columns", "number"))
SOLVED = True


class Params(Block):
    """How trees are grown; of several sizes, the one with the lowest validation loss wins."""

    name: Literal["boosting"]
    leaves: list[Annotated[int, Field(ge=2)]] = Field(default=[4, 15], min_length=1)
    """The most leaves of a tree: how many columns can act on each other."""
    rate: Annotated[float, Field(gt=0, le=1)] = 0.05
    """How much of what a tree has learned is added to the trees before it."""
    trees: Annotated[int, Field(ge=1)] = 2000
    """The most trees of each output."""
    patience: Annotated[int, Field(ge=1)] = 100
    """Trees without a lower validation loss before growing stops; those up to the lowest are kept."""
    rows: Annotated[int, Field(ge=1)] = 10
    """The fewest training rows of a leaf."""
    columns: Annotated[float, Field(gt=0, le=1)] = 0.7
    """Share of the columns that a tree may use, drawn anew for each."""
    sample: Annotated[float, Field(gt=0, le=1)] = 0.8
    """Share of the training rows that a tree is grown on, drawn anew for each."""
    penalty: Annotated[float, Field(ge=0)] = 1.0
    """On the squares of the leaves' values."""
