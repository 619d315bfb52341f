"""What `tidemill new` proposes for texts with one label each."""

import pandas as pd

from tidemill.tasks.common import proposal
from tidemill.tasks.common.proposal import Pinned, Proposed

COLUMNS = (proposal.TEXT, proposal.LABEL)
PRIORITY = 20
WHOLE_DOCUMENTS = False


def labels(rows: pd.DataFrame) -> "pd.Series[str] | None":
    """Return the labels."""
    return rows["label"]


def propose(rows: pd.DataFrame, pinned: Pinned | None) -> Proposed:
    """Propose a linear model on n-grams.

    Raises:
        TidemillError: all rows have the same label.
    """
    proposal.check_labels(rows["label"])
    return proposal.text_classifier(rows)
