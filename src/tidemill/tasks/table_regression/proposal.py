"""What `tidemill new` proposes for rows of columns with a number each."""

from collections.abc import Sequence

import pandas as pd

from tidemill.tasks.common import proposal
from tidemill.tasks.common.proposal import Candidate, Column, Pinned

COLUMNS = (Column("target", proposal.TARGET_NAMES, proposal.is_quantity, proposal.target_of),)
PRIORITY = 34
WHOLE_DOCUMENTS = False


def suits(rows: pd.DataFrame) -> bool:
    """Return whether it is a table, and its most likely target a quantity."""
    return proposal.is_table(rows) and proposal.is_quantity(rows[proposal.target_of(rows, [])])


def labels(rows: pd.DataFrame) -> "pd.Series[str] | None":
    """Return None: targets are no labels."""
    return None


def candidates(rows: pd.DataFrame, pinned: Sequence[Pinned]) -> list[Candidate]:
    """Return models that predict a number from columns."""
    return proposal.table_candidates(len(rows), len(proposal.inputs_of(rows)) - 1)


def trivial(rows: pd.DataFrame) -> float:
    """Return the R² of predicting the mean for every row."""
    return 0.0
