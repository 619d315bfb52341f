"""What is measured alike for every task: metrics with intervals, by class and by slice, beside the baselines."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import pandas as pd

from tidemill.core.intervals import Bootstrap, Interval, intervals, paired_difference
from tidemill.core.spec import Spec
from tidemill.tasks.common import rows as task_rows
from tidemill.tasks.common import scoring as task_scoring

SLICE_ROWS = 30
"""Slices of fewer rows are left out: their intervals are too wide to be of use."""


class Measure:
    """Measures predictions of one task by its metrics."""

    def __init__(self, task: str, spec: Spec, bootstrap: Bootstrap) -> None:
        self.task, self.rows_part, self.scoring = task, task_rows.of(task), task_scoring.of(task)
        self.spec, self.bootstrap = spec, bootstrap

    def results(
        self, rows: pd.DataFrame, predictions: pd.DataFrame, baselines: dict[str, pd.DataFrame]
    ) -> dict[str, Any]:
        """Return the results for `evaluation.json`: the same, byte for byte, for the same model and rows.

        Args:
            rows: the test rows; `predictions` and each baseline hold a scored prediction for each, in their order.
        """
        metrics, by_class = self._measured(predictions)
        of_baselines = {name: self._measured(table)[0] for name, table in baselines.items()}
        comparable = {
            name: baselines[name] for name, found in of_baselines.items() if self.scoring.MAIN_METRIC in found
        }
        targets = self.rows_part.TARGETS
        return {
            "test_set": {"sha256": test_set_sha256(rows, targets), "rows": len(rows)},
            "main_metric": self.scoring.MAIN_METRIC,
            "bootstrap": Bootstrap.model_dump(self.bootstrap, include=set(Bootstrap.model_fields)),
            "metrics": metrics,
            "baselines": of_baselines,
            **self._differences(predictions, comparable),
            "per_class": _with_support(by_class, predictions[targets[0]]),
            "slices": self._slices(rows, predictions),
        }

    def overall(self, predictions: pd.DataFrame) -> dict[str, Interval]:
        """Return the metrics of scored predictions over all rows."""
        return self._measured(predictions)[0]

    def _measured(self, predictions: pd.DataFrame) -> tuple[dict[str, Interval], dict[str, dict[str, Interval]]]:
        """Measure the metrics over all rows, and those named `metric/class` by class."""
        found = intervals(task_scoring.metrics(self.task, predictions, self.spec), len(predictions), self.bootstrap)
        overall: dict[str, Interval] = {}
        by_class: dict[str, dict[str, Interval]] = {}
        for name, interval in found.items():
            metric, slash, class_ = name.partition("/")
            (by_class.setdefault(class_, {}) if slash else overall)[metric] = interval
        return overall, by_class

    def _differences(self, predictions: pd.DataFrame, baselines: dict[str, pd.DataFrame]) -> dict[str, Interval]:
        """Measure how much better the main metric of the model is than that of each baseline."""
        ours = task_scoring.metrics(self.task, predictions, self.spec)
        theirs = {name: task_scoring.metrics(self.task, table, self.spec) for name, table in baselines.items()}
        metric, rows = self.scoring.MAIN_METRIC, len(predictions)
        better_first = task_scoring.sign(self.task, metric) > 0
        pairs = {name: (ours, other) if better_first else (other, ours) for name, other in theirs.items()}
        return {
            f"difference_to_{name}": paired_difference(*pair, metric, rows, self.bootstrap)
            for name, pair in pairs.items()
        }

    def _slices(self, rows: pd.DataFrame, predictions: pd.DataFrame) -> list[dict[str, Any]]:
        """Measure the main metric of the shortest, the middle and the longest third of the texts."""
        metric, found = self.scoring.MAIN_METRIC, []
        for column in self.rows_part.INPUTS:
            for name, part in _thirds_by_length(column, rows[column]):
                metrics, _ = self._measured(predictions[part.to_numpy()])
                found.append({"slice": name, "rows": int(part.sum()), metric: metrics[metric]})
        return found


def test_set_sha256(rows: pd.DataFrame, targets: Sequence[str] = ("label",)) -> str:
    """Hash the rows' ids, which are hashes of their contents, and their targets, whatever the vocabulary."""
    identity = rows[["id", *(name for name in targets if name in rows)]]
    return sha256(identity.to_json(orient="values", force_ascii=False).encode()).hexdigest()


def _with_support(by_class: dict[str, dict[str, Interval]], actual: "pd.Series[Any]") -> dict[str, dict[str, Any]]:
    """Add the number of rows to each class; a row may be of several classes."""
    support = actual.explode().value_counts() if by_class else pd.Series(dtype=int)
    return {class_: {**found, "support": int(support.get(class_, 0))} for class_, found in by_class.items()}


def _thirds_by_length(column: str, values: pd.Series) -> list[tuple[str, "pd.Series[bool]"]]:
    if not pd.api.types.is_string_dtype(values) or not values.map(lambda value: isinstance(value, str)).all():
        return []
    length = values.str.len()
    short, long = (int(limit) for limit in length.quantile([1 / 3, 2 / 3]))
    thirds = [
        (f"{column} of up to {short} characters", length <= short),
        (f"{column} of {short + 1} to {long} characters", (length > short) & (length <= long)),
        (f"{column} of more than {long} characters", length > long),
    ]
    return [(name, part) for name, part in thirds if part.sum() >= SLICE_ROWS]
