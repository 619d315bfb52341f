"""Which columns of a table a task can take: found by their names, and by their values."""

import re
from collections.abc import Collection, Mapping

import pandas as pd

from tidemill.core import plugins
from tidemill.core.errors import TidemillError
from tidemill.onboarding.inspection import Inspected
from tidemill.tasks.common import proposal
from tidemill.tasks.common.proposal import Column

OURS = ("row", "reason", "split")
"""Columns that reading adds."""


def guessed_task(inspected: Inspected) -> tuple[str, str]:
    """Return the task that the columns fit, and the reason for the guess.

    Raises:
        TidemillError: no task fits.
    """
    parts = {task: proposal.of(task) for task in plugins.names("tasks")}
    for task in sorted(parts, key=lambda task: -parts[task].PRIORITY):
        found = {column: _found(column, inspected.rows, []) for column in parts[task].COLUMNS}
        if all(found[column] for column in found if column.needed) and parts[task].suits(inspected.rows):
            named = ", ".join(repr(name) for name in found.values() if name)
            return task, f"guessed from the columns {named} (choose another with --task)"
    raise TidemillError(f"{inspected.source.path}: no task fits the columns {', '.join(_theirs(inspected.rows))}")


def named_columns(task: str, inspected: Inspected) -> dict[str, str]:
    """Return the source's name for each column that the task needs, and for the others that are there.

    Raises:
        TidemillError: the source has no column that could be one of them.
    """
    names: dict[str, str] = {}
    for column in proposal.of(task).COLUMNS:
        theirs = _found(column, inspected.rows, names.values())
        if theirs is None and not column.needed:
            continue
        if theirs is None:
            has = ", ".join(_theirs(inspected.rows)) or "none"
            raise TidemillError(
                f"{inspected.source.path}: {task} needs a column for {column.name}, and none of these can be: {has}"
            )
        names[column.name] = theirs
    return names


def separators(task: str, rows: pd.DataFrame, names: Mapping[str, str]) -> dict[str, str]:
    """Return what separates the values in the columns whose cells hold several as one text."""
    there = [column for column in proposal.of(task).COLUMNS if column.name in names]
    found = {column.name: column.separator(rows[names[column.name]]) for column in there}
    return {name: separator for name, separator in found.items() if separator}


def _found(column: Column, rows: pd.DataFrame, taken: Collection[str]) -> str | None:
    """Find the column with a telling name, or else choose by the values, where the task can."""
    fitting = [name for name in _theirs(rows) if name not in taken and column.fits(rows[name])]
    named = [name for word in column.aliases.split() for name in fitting if word in re.split(r"[^a-z]+", name.lower())]
    if named or not fitting or column.choose is None:
        return named[0] if named else None
    return column.choose(rows, fitting)


def _theirs(rows: pd.DataFrame) -> list[str]:
    return [str(name) for name in rows if name not in OURS and rows[name].notna().any()]
