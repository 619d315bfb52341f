"""Test rows that two versions predict differently, and which of them has each right."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pandas as pd

from tidemill.core.files import read_json
from tidemill.core.tables import read_table
from tidemill.models.common.networks import CONFIG
from tidemill.registry import content, versions
from tidemill.tasks.common import scoring

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion


@dataclass(frozen=True)
class Flips:
    """The test rows that both versions predicted."""

    task: str
    rows: pd.DataFrame
    """`id`, the targets as `before`'s table has them, and `prediction`, `correct` with the endings `_before`, `_after`."""
    changed: "pd.Series[bool]"
    """Whether the predictions differ, as the task defines "the same prediction"."""

    @property
    def fixed(self) -> pd.DataFrame:
        """Rows that only the later version has right."""
        return self.rows[~self.rows["correct_before"] & self.rows["correct_after"]]

    @property
    def broken(self) -> pd.DataFrame:
        """Rows that only the earlier version has right."""
        return self.rows[self.rows["correct_before"] & ~self.rows["correct_after"]]


def between(before: "ModelVersion", after: "ModelVersion") -> Flips | None:
    """Compare the stored test predictions of two versions of one task; None where a task knows no right and wrong."""
    (task, predictions), (_, others) = (_stored(version) for version in (before, after))
    return flips(predictions, others, task)


def flips(before: pd.DataFrame, after: pd.DataFrame, task: str) -> Flips | None:
    """Compare two tables of scored predictions by their `id`; None where the task knows no right and wrong."""
    if not all("correct" in table for table in (before, after)):
        return None
    right = after[["id", "prediction", "correct"]]
    rows = before.merge(right, on="id", suffixes=("_before", "_after"))
    rows = rows.assign(**{name: rows[name].astype(bool) for name in ("correct_before", "correct_after")})
    same = scoring.of(task).is_same(rows["prediction_before"], rows["prediction_after"])
    return Flips(task, rows, ~same.astype(bool))


def _stored(version: "ModelVersion") -> tuple[str, pd.DataFrame]:
    """Return a version's task, and its stored test predictions, scored as the task scores them today."""
    with TemporaryDirectory() as scratch:
        folder = content.download(version, Path(scratch)).folder
        predictions = read_table(folder / versions.PREDICTIONS)
        config = read_json(folder / versions.MODEL / CONFIG)
    return str(config["task"]), scoring.of(config["task"]).score(predictions, config["spec"])
