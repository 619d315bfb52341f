"""A linear model of n-grams or columns: a weight for each of them and label, found by a solver instead of gradient steps."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tidemill.core.params import Params as Block
from tidemill.core.spec import Kind

ACCEPTS: tuple[Kind, ...] = (
    ("n-grams", "labels"),
    ("n-grams", "number"),
    ("columns", "labels"),
    ("columns", "number"),
)
SOLVED = True


class Params(Block):
    """What the solver minimises: the loss of the training rows, one label against the rest, and a penalty on the weights."""

    name: Literal["linear"]
    loss: Literal["logistic", "hinge", "squared_hinge"] = "squared_hinge"
    """Of labels: logistic regression, or a support vector machine with one of two losses. Numbers have `training.loss`: with
    `squared` it is ridge regression, with `absolute` the median's."""
    penalty: Literal["l2", "l1"] = "l2"
    """On the squares of the weights, or, of labels, on their absolute values, which leaves most of them at 0."""
    strengths: list[Annotated[float, Field(gt=0)]] = Field(default=[0.1, 0.3, 1.0, 3.0, 10.0], min_length=1)
    """How much the loss counts beside the penalty, C in the literature; of several, the one with the lowest validation loss
    wins."""
    naive_bayes: bool = False
    """Whether each n-gram is scaled beforehand by how much more often it occurs with a label than without (the logarithm of
    the ratio), as in Wang and Manning (2012)."""

    @model_validator(mode="after")
    def _solvable(self) -> "Params":
        if self.penalty == "l1" and self.loss == "hinge":
            raise ValueError("penalty l1 goes with loss logistic or squared_hinge: no solver has it with hinge")
        return self
