"""What `tidemill new` proposes for texts with any number of labels each."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from tidemill.tasks.common import proposal
from tidemill.tasks.common.proposal import Column, Pinned, Proposed

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


def labels(rows: pd.DataFrame) -> "pd.Series[str] | None":
    """Return every label of every row."""
    return rows["labels"].explode()


def propose(rows: pd.DataFrame, pinned: Pinned | None) -> Proposed:
    """Propose a linear model on n-grams, and a gate clearly above predicting the most frequent label for every row."""
    found = rows["labels"].explode().dropna()
    most_frequent = found.value_counts().iloc[0]
    params, notes = proposal.text_classifier(rows.assign(label=found.groupby(level=0).first()))
    gate = proposal.threshold(2 * most_frequent / (len(rows) + len(found)))
    return Proposed(params | {"gates": {"thresholds": {"micro_f1": gate}}}, notes)
