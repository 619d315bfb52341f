"""What `tidemill new` proposes for questions about a context."""

from typing import Any

import pandas as pd

from tidemill.core.errors import TidemillError
from tidemill.tasks.common import proposal
from tidemill.tasks.common.proposal import Column, Pinned, Proposed


def _anything(values: "pd.Series[Any]") -> bool:
    return True


COLUMNS = (
    Column("question", "question query", proposal.is_text),
    Column("context", "context passage paragraph document", proposal.is_text),
    Column("answers", "answers answer", _anything),
)
PRIORITY = 50
WHOLE_DOCUMENTS = False


def labels(rows: pd.DataFrame) -> "pd.Series[str] | None":
    """Questions have answers, not labels."""
    return None


def propose(rows: pd.DataFrame, pinned: Pinned | None) -> Proposed:
    """Propose fine-tuning the encoder that another system has pinned.

    Raises:
        TidemillError: no system has one.
    """
    if pinned is None:
        raise TidemillError(
            "question_answering needs a pinned encoder and its tokenizer, and no system of params.yaml has one: "
            "add one with model.pretrained and tokenize.tokenizer first"
        )
    lengths = rows["context"].astype(str).map(lambda text: len(proposal.WORD.findall(text)))
    length = int(lengths.quantile(proposal.KEPT_LENGTH))
    note = f"contexts: {length} words at the 95th percentile; encoder and tokenizer are those of another system here"
    training = {"epochs": 2, "batch": 16, "optimizer": "adamw", "lr": 1e-4, "clip": 1.0}
    return Proposed({"tokenize": pinned.tokenize, "model": pinned.model, "training": training, "gates": {}}, [note])
