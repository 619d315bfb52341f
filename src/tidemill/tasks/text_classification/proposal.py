"""What `tidemill new` proposes for texts with one label each."""

from collections.abc import Sequence

import pandas as pd

from tidemill.tasks.common import proposal
from tidemill.tasks.common.proposal import Candidate, Pinned

COLUMNS = (proposal.TEXT, proposal.LABEL)
PRIORITY = 20
WHOLE_DOCUMENTS = False
suits = proposal.is_prose


def labels(rows: pd.DataFrame) -> "pd.Series[str] | None":
    """Return the labels."""
    return rows["label"]


def candidates(rows: pd.DataFrame, pinned: Sequence[Pinned]) -> list[Candidate]:
    """Return classifiers of texts.

    Raises:
        TidemillError: all rows have the same label.
    """
    proposal.check_labels(rows["label"])
    return proposal.text_classifiers(rows, pinned)


def trivial(rows: pd.DataFrame) -> float:
    """Return the accuracy of predicting the most frequent label for every row."""
    return proposal.share_of_commonest(rows["label"])
