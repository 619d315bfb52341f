"""Rows of a task: cleaned, in one form, and told apart.

Evaluation and registration read this part as well, so what only the ingest stage needs (near copies, the description
of a picture) is imported inside the functions that call it.
"""

from typing import Any, Protocol

import pandas as pd

from tidemill.core import cells, plugins, text
from tidemill.core.errors import TidemillError
from tidemill.core.labels import MOST_LABELS
from tidemill.core.spec import Spec
from tidemill.core.tables import NOT_INPUTS


class RowsPart(Protocol):
    """What `tasks/<task>/rows.py` defines."""

    INPUTS: tuple[str, ...]
    """Columns of a row's content, beside `id` and its target; empty where they are those of the source."""
    TARGETS: tuple[str, ...]
    """Columns of what is to be predicted; `("label",)` for most tasks."""

    def normalise(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the rows with their content in its one form, the same in training and in service.

        Raises:
            TidemillError: a value cannot be read.
        """

    def clean(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Normalise the content; a row that cannot be used gets a sentence in column `reason`.

        Raises:
            TidemillError: nothing can be learned from these rows, e.g. all have the same label.
        """

    def content(self, rows: pd.DataFrame) -> "pd.Series[str]":
        """Return the text or hash that makes two rows the same example: it names the row."""

    def group(self, rows: pd.DataFrame) -> "pd.Series[str]":
        """Return the text or hash shared by rows that must be in one split; `content` where a row stands alone."""

    def near_copies(self, rows: pd.DataFrame, similarity: float) -> "pd.Series[str]":
        """Return the name of a group for each row; rows that are near copies of each other share one."""


def of(task: str) -> RowsPart:
    """Return the rows part of a task, by the task's name."""
    part: RowsPart = plugins.load("tasks", task, "rows")
    return part


def inputs(task: str, spec: Spec) -> tuple[str, ...]:
    """Return the columns that a model of a task reads."""
    return of(task).INPUTS or tuple(column["name"] for column in spec["columns"])


def normalise_text(rows: pd.DataFrame) -> pd.DataFrame:
    """Normalise column `text`: Unicode NFKC, no control characters, white space in one form."""
    return rows.assign(text=rows["text"].fillna("").astype(str).map(text.normalised))


def text_content(rows: pd.DataFrame) -> "pd.Series[str]":
    """Return the text itself."""
    return rows["text"]


def near_texts(rows: pd.DataFrame, similarity: float) -> "pd.Series[str]":
    """Return a group name that texts with nearly the same shingles share."""
    from tidemill.rows import near_copies

    return near_copies.texts(rows["text"], similarity)


def reject_empty(rows: pd.DataFrame) -> pd.DataFrame:
    """Give rows without any text a reason."""
    return rows.assign(reason=rows["reason"].mask(rows["reason"].isna() & rows["text"].eq(""), "no text"))


def clean_labels(rows: pd.DataFrame) -> pd.DataFrame:
    """Make each label a text; a row without one gets a reason.

    Raises:
        TidemillError: the labels are none at all, one only, nearly one a row, or more than `MOST_LABELS`.
    """
    labels = rows["label"].astype("str").str.strip()
    absent = rows["reason"].isna() & (labels.isna() | labels.eq(""))
    rows = rows.assign(label=labels, reason=rows["reason"].mask(absent, "no label"))
    _check_classes(rows.loc[rows["reason"].isna(), "label"])
    return rows


def _check_classes(labels: "pd.Series[str]") -> None:
    counts = labels.value_counts()
    if labels.empty:
        raise TidemillError("no row has a label: name the column that holds it in source.columns.label")
    if len(counts) == 1:
        raise TidemillError(f"all {len(labels)} labelled rows are {counts.index[0]!r}: a classifier needs two classes")
    if counts.max() == 1 or len(counts) > len(labels) / 2:
        raise TidemillError(
            f"{len(labels)} rows have {len(counts)} different labels ({', '.join(map(repr, counts.index[:3]))}, …): "
            "too few rows for each; is source.columns.label the right column?"
        )
    if len(counts) > MOST_LABELS:
        raise TidemillError(
            f"{len(counts):,} labels, but at most {MOST_LABELS:,} can be told apart: merge the rare ones"
        )


def clean_target(rows: pd.DataFrame) -> pd.DataFrame:
    """Make each target a number; a row without one gets a reason.

    Raises:
        TidemillError: the targets are none at all, nearly all no numbers, or all the same.
    """
    if "target" not in rows:
        named = ", ".join(str(name) for name in rows if name not in (*NOT_INPUTS, "label"))
        raise TidemillError(
            f"no column is called target: name the one to be predicted in source.columns; it has {named}"
        )
    found = cells.typed(rows["target"])
    usable = rows["reason"].isna()
    if not pd.api.types.is_float_dtype(found.values):
        example = found.values[usable].dropna().iloc[0]
        raise TidemillError(
            f"the target is to be a number, but it is {example!r}: is source.columns.target the right one?"
        )
    reason = rows["reason"].mask(usable & found.values.isna(), "no target")
    reason = reason.mask(usable & found.unreadable, [f"the target {value!r} is no number" for value in rows["target"]])
    known = found.values[reason.isna()]
    if known.nunique() < 2:
        raise TidemillError(f"the target of all {len(known)} rows is the same: there is nothing to predict")
    return rows.assign(target=found.values, reason=reason)


def clean_columns(rows: pd.DataFrame, target: str) -> pd.DataFrame:
    """Give each column of a table the type of nearly all its cells; a row with a cell of another type gets a reason.

    Raises:
        TidemillError: there is no column beside the target, or one holds lists or bytes.
    """
    names = table_columns(rows, target)
    if not names:
        raise TidemillError(f"there is no column beside the {target}: a table needs some to predict it from")
    for name in names:
        if rows[name].map(lambda cell: isinstance(cell, list | dict | tuple | set | bytes)).any():
            raise TidemillError(f"column {name!r} holds lists or bytes: leave it out by source.drop")
        found = cells.typed(rows[name])
        said = [f"column {name}: {str(cell)[:40]!r} is no {_kind(found.values)}" for cell in rows[name]]
        reason = rows["reason"].mask(rows["reason"].isna() & found.unreadable, said)
        rows = rows.assign(reason=reason)
        rows[name] = found.values  # assign takes no column named `self`
    return rows


def table_columns(rows: pd.DataFrame, target: str) -> list[str]:
    """Return the names of a table's columns that are inputs; a label that no row has is none."""
    names = [str(name) for name in rows if name not in (*NOT_INPUTS, target)]
    return [name for name in names if name != "label" or rows[name].notna().any()]


def table_content(rows: pd.DataFrame, columns: list[str]) -> "pd.Series[str]":
    """Return the cells of some columns as one text."""
    texts = [rows[name].astype("str").fillna("") for name in sorted(columns)]
    return pd.Series(["\x1f".join(cells_) for cells_ in zip(*texts, strict=True)], rows.index, dtype="str")


def no_near_copies(rows: pd.DataFrame, similarity: float) -> "pd.Series[str]":
    """Return the id of each row: numbers and categories have no near copies."""
    return rows["id"]


def _kind(values: "pd.Series[Any]") -> str:
    return "date" if pd.api.types.is_datetime64_any_dtype(values) else "number"
