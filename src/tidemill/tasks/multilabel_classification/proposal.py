"""What `tidemill new` proposes for texts with any number of labels each."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from tidemill.tasks.common import proposal
from tidemill.tasks.common.proposal import Candidate, Column, Pinned

SEPARATORS = ";|"
"""What may separate the labels of a row that are one text."""


def _separator(values: "pd.Series[Any]") -> str | None:
    """Return the separator found in at least one text of ten, if they are texts."""
    present = values.dropna()
    if present.empty or not present.map(lambda cell: isinstance(cell, str)).all():
        return None
    return next((sign for sign in SEPARATORS if present.str.contains(sign, regex=False).mean() >= 0.1), None)


def _is_label_list(values: "pd.Series[Any]") -> bool:
    """Whether they are lists of few short values, or texts that hold several of them."""
    separator = _separator(values)
    lists = values.dropna().map(lambda cell: cell.split(separator) if separator else cell)
    if lists.empty or not lists.map(lambda cell: isinstance(cell, list | np.ndarray)).all():
        return False
    found = lists.explode().dropna()
    return bool(found.map(lambda label: isinstance(label, str | int)).all()) and proposal.is_label(found)


def _first(rows: pd.DataFrame, fitting: Sequence[str]) -> str:
    return fitting[0]


COLUMNS = (
    proposal.TEXT,
    Column(
        "labels",
        "labels tags topics categories genres keywords classes targets intents label tag",
        _is_label_list,
        _first,
        _separator,
    ),
)
PRIORITY = 30
WHOLE_DOCUMENTS = False
suits = proposal.is_prose


def labels(rows: pd.DataFrame) -> "pd.Series[str] | None":
    """Return every label of every row."""
    return rows["labels"].explode()


def candidates(rows: pd.DataFrame, pinned: Sequence[Pinned]) -> list[Candidate]:
    """Return classifiers of texts."""
    return proposal.text_classifiers(rows, pinned)


def trivial(rows: pd.DataFrame) -> float:
    """Return the micro F1 of predicting the most frequent label for every row."""
    found = rows["labels"].explode().dropna()
    return float(2 * found.value_counts().iloc[0] / (len(rows) + len(found)))
