"""Encoding: columns to numbers and codes of categories, the target to standard deviations from its mean."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from tidemill.core.spec import Kind, Spec
from tidemill.tasks.common import encoding as common
from tidemill.tokens import columns

KINDS: tuple[Kind, ...] = (("columns", "number"),)

Tokenize = common.TokenizeColumns
fit = common.fit_none


def kind(params: common.TokenizeColumns) -> Kind:
    """Return the one kind of the task."""
    return KINDS[0]


def specify(blocks: Iterator[pd.DataFrame], params: common.TokenizeColumns, tokenizer: None) -> Spec:
    """Return mean and deviation of the target, and how each column is encoded.

    Raises:
        TidemillError: all targets are the same, no column tells rows apart, or one of the params is not there.
    """
    targets = list[float]()
    found = common.specify_columns(blocks, params, "target", targets.extend)
    return {**common.specify_number(targets), **found}


def encode(rows: pd.DataFrame, tokenizer: None, spec: Spec) -> dict[str, Any]:
    """Return `numbers` (B, N), `categories` (B, C) and, where the rows have one, `target` (B,).

    Raises:
        ValueError: a cell is no number or date where the column had them in training.
    """
    encoded: dict[str, Any] = {**columns.encode(rows, spec["columns"])}
    return encoded | ({"target": common.encode_number(rows, spec)} if "target" in rows else {})
