"""What is measured alike for every task: the metrics with their intervals, by class and by slice, and the baselines."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import pandas as pd

from tidemill.config import Evaluate
from tidemill.evaluation.intervals import Interval, intervals, paired_difference
from tidemill.tasks import Task, targets

SLICE_ROWS = 30
"""A slice of fewer rows tells nothing."""


def measure(
    task: Task,
    spec: dict[str, Any],
    rows: pd.DataFrame,
    predictions: pd.DataFrame,
    baselines: dict[str, pd.DataFrame],
    params: Evaluate,
) -> dict[str, Any]:
    """The results of `evaluation.json`: the same, byte for byte, for the same model and rows.

    Args:
        rows: The test rows; `predictions` and each baseline hold a prediction for each, in their order.
    """
    metrics, by_class = _measured(task, spec, predictions, params)
    of_baselines = {name: _measured(task, spec, table, params)[0] for name, table in baselines.items()}
    return {
        "test_set": {"sha256": test_set_sha256(rows, targets(task)), "rows": len(rows)},
        "main_metric": task.MAIN_METRIC,
        "confidence": params.confidence,
        "metrics": metrics,
        "baselines": of_baselines,
        **_differences(task, spec, predictions, baselines, params),
        "per_class": _with_support(by_class, predictions[targets(task)[0]]),
        "slices": _slices(task, spec, rows, predictions, params),
    }


def test_set_sha256(rows: pd.DataFrame, answers: Sequence[str] = ("label",)) -> str:
    """Hash of the rows' contents, by their ids, and answers: whatever the vocabulary, the same rows have the same."""
    told = rows[["id", *(name for name in answers if name in rows)]]
    return sha256(told.to_json(orient="values", force_ascii=False).encode()).hexdigest()


def _measured(
    task: Task, spec: dict[str, Any], predictions: pd.DataFrame, params: Evaluate
) -> tuple[dict[str, Interval], dict[str, dict[str, Interval]]]:
    """Metrics over all rows, and those named `metric/class` by class."""
    found = intervals(task.metrics(predictions, spec), len(predictions), params)
    overall: dict[str, Interval] = {}
    by_class: dict[str, dict[str, Interval]] = {}
    for name, interval in found.items():
        metric, slash, class_ = name.partition("/")
        (by_class.setdefault(class_, {}) if slash else overall)[metric] = interval
    return overall, by_class


def _differences(
    task: Task,
    spec: dict[str, Any],
    predictions: pd.DataFrame,
    baselines: dict[str, pd.DataFrame],
    params: Evaluate,
) -> dict[str, Interval]:
    """The main metric of the model minus that of each baseline."""
    ours = task.metrics(predictions, spec)
    return {
        f"difference_to_{name}": paired_difference(
            ours, task.metrics(table, spec), task.MAIN_METRIC, len(predictions), params
        )
        for name, table in baselines.items()
    }


def _with_support(by_class: dict[str, dict[str, Interval]], actual: "pd.Series[Any]") -> dict[str, dict[str, Any]]:
    """Each class with the number of its rows; a row may be of several."""
    support = actual.explode().value_counts() if by_class else pd.Series(dtype=int)
    return {class_: {**found, "support": int(support.get(class_, 0))} for class_, found in by_class.items()}


def _slices(
    task: Task, spec: dict[str, Any], rows: pd.DataFrame, predictions: pd.DataFrame, params: Evaluate
) -> list[dict[str, Any]]:
    """The main metric of the shortest, the middle and the longest third of the texts."""
    found = []
    for column in task.INPUTS:
        for name, part in _thirds_by_length(column, rows[column]):
            metrics, _ = _measured(task, spec, predictions[part.to_numpy()], params)
            found.append({"slice": name, "rows": int(part.sum()), task.MAIN_METRIC: metrics[task.MAIN_METRIC]})
    return found


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
