"""Encoding: columns to numbers and codes of categories, labels to their positions in the spec."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from tidemill.core.spec import Kind, Spec
from tidemill.tasks.common import encoding as common
from tidemill.tokens import columns

KINDS: tuple[Kind, ...] = (("columns", "labels"),)

Tokenize = common.TokenizeColumns
fit = common.fit_none


def kind(params: common.TokenizeColumns) -> Kind:
    """Return the one kind of the task."""
    return KINDS[0]


def specify(blocks: Iterator[pd.DataFrame], params: common.TokenizeColumns, tokenizer: None) -> Spec:
    """Return labels, outputs, and how each column is encoded.

    Raises:
        TidemillError: there are fewer than two labels, no column tells rows apart, or one of the params is not there.
    """
    labels = set[str]()
    found = common.specify_columns(blocks, params, "label", labels.update)
    return {**common.specify_labels([pd.DataFrame({"label": list(labels)})]), **found}


def encode(rows: pd.DataFrame, tokenizer: None, spec: Spec) -> dict[str, Any]:
    """Return `numbers` (B, N), `categories` (B, C) and, where the rows have labels, `labels` (B,).

    Raises:
        TidemillError: a label does not occur in the training rows.
        ValueError: a cell is no number or date where the column had them in training.
    """
    encoded = columns.encode(rows, spec["columns"])
    return encoded | ({"labels": common.encode_labels(rows, spec)} if "label" in rows else {})
