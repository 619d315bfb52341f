"""Checks of a task: what must hold for its ingested tables by default."""

from typing import TYPE_CHECKING, Protocol

from tidemill.core import plugins
from tidemill.validation.params import Expectation, Validate

if TYPE_CHECKING:
    import pandas as pd


class ChecksPart(Protocol):
    """What `tasks/<task>/checks.py` defines."""

    def expectations(self, params: Validate, tables: "dict[str, pd.DataFrame]") -> list[Expectation]:
        """Return what must hold for each split: its columns and counts, ids, and what the task expects of the content.

        Args:
            tables: the ingested tables by split.
        """


def of(task: str) -> ChecksPart:
    """Return the checks part of a task, by the task's name."""
    part: ChecksPart = plugins.load("tasks", task, "checks")
    return part
