"""What `tidemill new` proposes for questions about a context."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from tidemill.core.errors import TidemillError
from tidemill.tasks.common import proposal
from tidemill.tasks.common.proposal import Candidate, Column, Pinned


def _anything(values: "pd.Series[Any]") -> bool:
    return True


COLUMNS = (
    Column("question", "question query", proposal.is_text),
    Column("context", "context passage paragraph document", proposal.is_text),
    Column("answers", "answers answer", _anything),
)
PRIORITY = 50
WHOLE_DOCUMENTS = False
suits = proposal.always


def labels(rows: pd.DataFrame) -> "pd.Series[str] | None":
    """Questions have answers, not labels."""
    return None


def candidates(rows: pd.DataFrame, pinned: Sequence[Pinned]) -> list[Candidate]:
    """Return fine-tuning of the encoder that another system has pinned.

    Raises:
        TidemillError: no system has one.
    """
    encoder = next((one for one in pinned if one.task == "question_answering"), None)
    if encoder is None:
        raise TidemillError(
            "question_answering needs a pinned encoder and its tokenizer, and no system of params.yaml has one: "
            "add one with model.pretrained and tokenize.tokenizer first"
        )
    lengths = rows["context"].astype(str).map(lambda text: len(proposal.WORD.findall(text)))
    length = int(lengths.quantile(proposal.KEPT_LENGTH))
    note = f"contexts: {length} words at the 95th percentile; encoder and tokenizer are those of another system here"
    schedule = {"name": "cosine", "warmup": 0.1}
    training = {"epochs": 2, "batch": 16, "optimizer": "adam", "lr": 4e-4, "precision": "auto", "schedule": schedule}
    params = {"tokenize": encoder.tokenize, "model": encoder.model, "training": training}
    return [Candidate("pretrained encoder", params, [note])]


def trivial(rows: pd.DataFrame) -> float:
    """Return the F1 of predicting nothing."""
    return 0.0
