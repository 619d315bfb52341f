"""Changes of the rows of a table: other forms of the same cells, cells at the edge, and the edits that params ask for."""

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from tidemill.core.errors import TidemillError
from tidemill.core.spec import Spec
from tidemill.tasks.common.probes.params import TableProbeParams
from tidemill.tasks.common.probes.probe import Change, Rows

FAR = 1e12
"""A number that no column has."""
NEW = "never seen before"
"""A value that no category has."""


def names(spec: Spec, *kinds: str) -> list[str]:
    """Return the columns of some kinds, or all."""
    return [column["name"] for column in spec["columns"] if not kinds or column["kind"] in kinds]


def forms_of_rows(spec: Spec) -> dict[str, Change]:
    """Return changes that give other forms of the same rows, by name."""
    return {
        "cells as texts": _written(spec, str),
        "white space around cells": _written(spec, lambda cell: f" {cell} "),
        "columns in another order": lambda rows: rows[rows.columns[::-1]],
    }


def odd_rows(spec: Spec) -> dict[str, Change]:
    """Return changes that give rows at the edge of what a model can be given, by name."""
    numbers, categories = names(spec, "number"), names(spec, "category")
    changes: dict[str, Change] = {"no value at all": lambda rows: _set(rows, names(spec), None)}
    if numbers:
        changes["huge numbers"] = lambda rows: _set(rows, numbers, FAR)
    if categories:
        changes["values never seen"] = lambda rows: _set(rows, categories, NEW)
    return changes


def edited(params: TableProbeParams, spec: Spec) -> Change:
    """Return the change that the params ask for.

    Raises:
        TidemillError: there is no such column, or it holds no numbers to multiply and move.
    """
    known = names(spec) if params.value is not None else names(spec, "number")
    if params.column not in known:
        what = "columns" if params.value is not None else "columns of numbers"
        raise TidemillError(
            f"evaluate.probes: {params.name!r} names the column {params.column!r}; {what}: {', '.join(known)}"
        )

    def change(rows: Rows) -> Rows:
        if params.value is not None:
            return _set(rows, [params.column], params.value)
        present = rows[rows[params.column].notna()].copy()
        present[params.column] = pd.to_numeric(present[params.column]) * params.factor + params.shift
        return present

    return change


def _set(rows: Rows, columns: Sequence[str], value: Any) -> Rows:
    rows = rows.copy()
    for name in columns:
        rows[name] = pd.Series([value] * len(rows), rows.index, dtype=object)
    return rows


def _written(spec: Spec, write: Callable[[Any], str]) -> Change:
    def change(rows: Rows) -> Rows:
        rows = rows.copy()
        for name in names(spec):
            rows[name] = rows[name].astype(object).map(write, na_action="ignore")
        return rows

    return change
