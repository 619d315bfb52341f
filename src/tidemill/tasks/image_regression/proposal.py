"""What `tidemill new` proposes for pictures with a number each."""

from collections.abc import Sequence

import pandas as pd

from tidemill.tasks.common import proposal
from tidemill.tasks.common.proposal import Candidate, Column, Pinned

SIDE = 64
"""Height and width in pixels to which pictures are scaled."""


def _is_picture(values: "pd.Series[bytes]") -> bool:
    return bool(values.dropna().map(lambda value: isinstance(value, bytes)).all())


COLUMNS = (
    Column("image", "image picture img photo", _is_picture, proposal.longest),
    Column("target", proposal.TARGET_NAMES, proposal.is_quantity),
)
PRIORITY = 38
WHOLE_DOCUMENTS = False
suits = proposal.always


def labels(rows: pd.DataFrame) -> "pd.Series[str] | None":
    """Return None: targets are no labels."""
    return None


def candidates(rows: pd.DataFrame, pinned: Sequence[Pinned]) -> list[Candidate]:
    """Return a convolutional network and a perceptron, trained from scratch on small copies of the pictures."""
    training = proposal.training(len(rows), optimizer="adam", lr=1e-3)
    params = {"tokenize": {"size": [SIDE, SIDE]}, "training": training, "ingest": {"near_duplicates": 1.0}}
    models = {
        "convolutional network": {"name": "cnn", "dropout": 0.2},
        "perceptron on pixels": {"name": "mlp", "hidden": [256], "dropout": 0.2},
    }
    return [Candidate(name, {**params, "model": model}, []) for name, model in models.items()]


def trivial(rows: pd.DataFrame) -> float:
    """Return the R² of predicting the mean for every row."""
    return 0.0
