"""Encoding: texts to token ids, sets of labels to rows of a matrix."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tidemill.core.errors import TidemillError
from tidemill.core.labels import MOST_LABELS, in_order
from tidemill.core.spec import Kind, Spec
from tidemill.tasks.common import encoding as common
from tidemill.tokens import tokenizers

if TYPE_CHECKING:
    from tokenizers import Tokenizer

KIND: Kind = ("tokens", "labels")

Tokenize = common.TokenizeText
fit = common.fit_text


def specify(blocks: Iterator[pd.DataFrame], params: common.TokenizeText, tokenizer: "Tokenizer") -> Spec:
    """Return the labels, an output for each, vocabulary size and length.

    Raises:
        TidemillError: no row has a label, or there are more than `MOST_LABELS`.
    """
    labels = in_order({label for block in blocks for labels in block["labels"] for label in labels})
    if not labels:
        raise TidemillError("no training row has a label: is source.columns.labels the right column?")
    if len(labels) > MOST_LABELS:
        raise TidemillError(f"{len(labels):,} labels, but at most {MOST_LABELS:,} can be told apart")
    return {
        "labels": labels,
        "outputs": len(labels),
        "vocabulary": tokenizers.size(tokenizer),
        "length": params.length,
    }


def encode(rows: pd.DataFrame, tokenizer: "Tokenizer", spec: Spec) -> dict[str, Any]:
    """Return ragged `tokens` and, where the rows have labels, `labels` (B, labels): 1 for each that a row has.

    Raises:
        TidemillError: a label does not occur in the training rows.
    """
    columns: dict[str, Any] = {"tokens": common.encode_text(rows, tokenizer, spec)}
    if "labels" not in rows:
        return columns
    return columns | {"labels": label_matrix(rows["labels"], spec["labels"]).astype(np.uint8)}


def label_matrix(rows: Iterable[Sequence[str]], labels: Sequence[str]) -> NDArray[np.bool_]:
    """Return whether each row has each label (B, labels).

    Raises:
        TidemillError: a label does not occur in the training rows.
    """
    rows = list(rows)
    places = {label: place for place, label in enumerate(labels)}
    matrix = np.zeros((len(rows), len(labels)), np.bool_)
    for row, given in zip(matrix, rows, strict=True):
        unknown = [label for label in given if label not in places]
        if unknown:
            raise TidemillError(f"label {unknown[0]!r} is not among those of training: {', '.join(labels)}")
        row[[places[label] for label in given]] = True
    return matrix
