"""What `tidemill new` proposes for rows of columns with one label each."""

from collections.abc import Sequence

import pandas as pd

from tidemill.tasks.common import proposal
from tidemill.tasks.common.proposal import Candidate, Column, Pinned

COLUMNS = (Column("label", proposal.TARGET_NAMES, proposal.is_class, proposal.target_of),)
PRIORITY = 35
WHOLE_DOCUMENTS = False


def suits(rows: pd.DataFrame) -> bool:
    """Return whether it is a table, and its most likely target one of few classes."""
    return proposal.is_table(rows) and proposal.is_class(rows[proposal.target_of(rows, [])])


def labels(rows: pd.DataFrame) -> "pd.Series[str] | None":
    """Return the labels."""
    return rows["label"]


def candidates(rows: pd.DataFrame, pinned: Sequence[Pinned]) -> list[Candidate]:
    """Return classifiers of rows with columns.

    Raises:
        TidemillError: all rows have the same label.
    """
    proposal.check_labels(rows["label"])
    return proposal.table_candidates(len(rows), len(proposal.inputs_of(rows)) - 1)


def trivial(rows: pd.DataFrame) -> float:
    """Return the accuracy of predicting the most frequent label for every row."""
    return proposal.share_of_commonest(rows["label"])
