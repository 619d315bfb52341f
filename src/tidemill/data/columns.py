"""Which columns of somebody's data a task can take: by their names, and by what stands in them."""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd

from tidemill import config
from tidemill.data.inspection import Found
from tidemill.errors import TidemillError

ROLES = {
    "text_classification": ("text", "label"),
    "multilabel_classification": ("text", "labels"),
    "text_generation": ("text",),
    "image_classification": ("image", "label"),
    "question_answering": ("question", "context", "answers"),
}
"""Columns that a task needs."""
WORDS = {
    "text": "text review content sentence comment body message tweet document article description prompt title",
    "label": "label class category target sentiment topic tag intent rating stars score y",
    "labels": "labels tags topics categories genres keywords classes targets intents label tag",
    "image": "image picture img photo",
    "question": "question query",
    "context": "context passage paragraph document",
    "answers": "answers answer",
}
"""What others call such a column, the likeliest first."""
LONGEST_LABEL = 100
"""Characters."""
BETWEEN_LABELS = ";|"
"""What may stand between labels of a row that are one text."""
TELLING = (
    "question_answering",
    "image_classification",
    "multilabel_classification",
    "text_classification",
    "text_generation",
)
"""Tasks, those with the most telling columns first."""


def guessed_task(found: Found) -> tuple[str, str]:
    """The task that the columns fit, the most telling one first."""
    installed = config.plugin_names("tidemill.tasks")
    for task in TELLING:
        columns = {role: _column(role, found.rows, []) for role in ROLES[task]}
        if task in installed and all(columns.values()):
            named = ", ".join(repr(column) for column in columns.values())
            return task, f"guessed from the columns {named} (--task says otherwise)"
    raise TidemillError(f"{found.source.path}: no task fits the columns {', '.join(_theirs(found.rows))}")


def named_columns(task: str, found: Found) -> dict[str, str]:
    """Their column for each of ours.

    Raises:
        TidemillError: nothing in the data could be one that the task needs.
    """
    columns: dict[str, str] = {}
    for role in ROLES[task]:
        theirs = _column(role, found.rows, columns.values())
        if theirs is None:
            has = ", ".join(_theirs(found.rows)) or "none"
            raise TidemillError(
                f"{found.source.path}: {task} needs a column for {role}, and none of these can be: {has}"
            )
        columns[role] = theirs
    return columns


def separators(rows: pd.DataFrame, columns: Mapping[str, str]) -> dict[str, str]:
    """What stands between the labels of a row, where they are one text."""
    separator = _separator(rows[columns["labels"]]) if "labels" in columns else None
    return {"labels": separator} if separator else {}


def _column(role: str, rows: pd.DataFrame, taken: Collection[str]) -> str | None:
    """The column with a name for that role, else, of text, labels and pictures, the one whose content looks like it."""
    fitting = [name for name in _theirs(rows) if name not in taken and _FITS[role](rows[name])]
    named = [name for word in WORDS[role].split() for name in fitting if word in re.split(r"[^a-z]+", name.lower())]
    if named or not fitting or role not in ("text", "label", "labels", "image"):
        return named[0] if named else None
    if role == "labels":
        return fitting[0]
    if role == "label":
        return min(fitting, key=lambda name: (rows[name].nunique() < 2, rows[name].nunique()))
    return max(fitting, key=lambda name: rows[name].map(len, na_action="ignore").mean())


def _theirs(rows: pd.DataFrame) -> list[str]:
    return [str(name) for name in rows if name not in ("row", "reason", "split") and rows[name].notna().any()]


def _is_text(values: "pd.Series[Any]") -> bool:
    present = values.dropna()
    return bool(present.map(lambda value: isinstance(value, str)).all()) and present.nunique() > 1


def _is_label(values: "pd.Series[Any]") -> bool:
    """Few short values, each of which comes again."""
    present = values.dropna()
    if not present.map(lambda value: isinstance(value, str) or pd.api.types.is_number(value)).all():
        return False
    written = present.astype(str)
    return bool(written.nunique() <= max(2, len(written) / 5) and written.str.len().max() <= LONGEST_LABEL)


def _is_label_list(values: "pd.Series[Any]") -> bool:
    """Lists of few short values, or texts that hold several of them."""
    separator = _separator(values)
    lists = values.dropna().map(lambda cell: cell.split(separator) if separator else cell)
    if lists.empty or not lists.map(lambda cell: isinstance(cell, list | np.ndarray)).all():
        return False
    labels = lists.explode().dropna()
    return bool(labels.map(lambda label: isinstance(label, str | int)).all()) and _is_label(labels)


def _separator(values: "pd.Series[Any]") -> str | None:
    """The sign that is in at least one of ten texts, if they are texts."""
    present = values.dropna()
    if present.empty or not present.map(lambda cell: isinstance(cell, str)).all():
        return None
    return next((sign for sign in BETWEEN_LABELS if present.str.contains(sign, regex=False).mean() >= 0.1), None)


def _is_picture(values: "pd.Series[Any]") -> bool:
    return bool(values.dropna().map(lambda value: isinstance(value, bytes)).all())


_FITS: dict[str, Callable[["pd.Series[Any]"], bool]] = {
    "text": _is_text,
    "label": _is_label,
    "labels": _is_label_list,
    "image": _is_picture,
    "question": _is_text,
    "context": _is_text,
    "answers": lambda values: True,
}
