"""Encoding: texts to token ids, labels to their positions in the spec."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd

from tidemill.core.spec import Kind, Spec
from tidemill.tasks.common import encoding as common
from tidemill.tokens import tokenizers

if TYPE_CHECKING:
    from tokenizers import Tokenizer

KIND: Kind = ("tokens", "labels")

Tokenize = common.TokenizeText
fit = common.fit_text


def specify(blocks: Iterator[pd.DataFrame], params: common.TokenizeText, tokenizer: "Tokenizer") -> Spec:
    """Return labels, outputs, vocabulary size and length.

    Raises:
        TidemillError: there are fewer than two labels.
    """
    return {**common.specify_labels(blocks), "vocabulary": tokenizers.size(tokenizer), "length": params.length}


def encode(rows: pd.DataFrame, tokenizer: "Tokenizer", spec: Spec) -> dict[str, Any]:
    """Return ragged `tokens` and, where the rows have labels, `labels` (B,).

    Raises:
        TidemillError: a label does not occur in the training rows.
    """
    columns: dict[str, Any] = {"tokens": common.encode_text(rows, tokenizer, spec)}
    return columns | ({"labels": common.encode_labels(rows, spec)} if "label" in rows else {})
