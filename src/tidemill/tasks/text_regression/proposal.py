"""What `tidemill new` proposes for texts with a number each."""

from collections.abc import Sequence

import pandas as pd

from tidemill.tasks.common import proposal
from tidemill.tasks.common.proposal import Candidate, Column, Pinned

COLUMNS = (proposal.TEXT, Column("target", proposal.TARGET_NAMES, proposal.is_quantity))
PRIORITY = 15
WHOLE_DOCUMENTS = False
suits = proposal.is_prose


def labels(rows: pd.DataFrame) -> "pd.Series[str] | None":
    """Return None: targets are no labels."""
    return None


def candidates(rows: pd.DataFrame, pinned: Sequence[Pinned]) -> list[Candidate]:
    """Return models that predict a number from a text."""
    return proposal.text_classifiers(rows, pinned)


def trivial(rows: pd.DataFrame) -> float:
    """Return the R² of predicting the mean for every row."""
    return 0.0
