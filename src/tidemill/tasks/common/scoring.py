"""Scoring of a task: which predictions are right, and the metrics and plots of them."""

import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tidemill.core import plugins
from tidemill.core.cells import numbers
from tidemill.core.intervals import Metrics
from tidemill.core.meaning import Meaning
from tidemill.core.spec import Output, Spec
from tidemill.tasks.common import encoding, rows
from tidemill.tasks.common.encoding import encode_labels

Counts = NDArray[np.float64]
Codes = NDArray[np.integer[Any]]

BINS = 15
"""Bins of the calibration error, as many as Guo et al. (2017) take."""
CALIBRATION_ERROR = "mean distance of confidence from the share of right predictions; 0 is best"
"""The meaning of the metric `calibration_error`."""
LABEL_METRIC = "accuracy"
"""The main metric of a classifier with one label a row."""
LABEL_MEANINGS: dict[str, Meaning] = {
    "accuracy": Meaning("share of rows whose label is predicted"),
    "precision": Meaning("of the rows predicted as a class, the share that belongs to it; mean over the classes"),
    "recall": Meaning("of the rows of a class, the share predicted as it; mean over the classes"),
    "f1": Meaning("harmonic mean of precision and recall; mean over the classes"),
    "lowest_recall": Meaning("recall of the class with the lowest one"),
    "calibration_error": Meaning(CALIBRATION_ERROR, higher_is_better=False),
    "log_loss": Meaning(
        "mean negative log-likelihood of the actual labels, in nats; 0 is best", higher_is_better=False
    ),
}


class MetricModule(Protocol):
    """What `tidemill/metrics/<metric>.py` defines."""

    OUTPUT: Output
    """The output of the tasks that it is measured for."""
    TARGETS: tuple[str, ...]
    """The targets of these tasks."""
    MEANING: Meaning
    """What it says, in a phrase for the report, and which values of it are better."""

    def measure(self, predictions: pd.DataFrame, spec: Spec) -> "Callable[[NDArray[np.int64]], float]":
        """Return the metric as a function of row weights (0 leaves a row out)."""


class ScoringPart(Protocol):
    """What `tasks/<task>/scoring.py` defines."""

    MAIN_METRIC: str
    """The metric that a candidate and the champion are compared by."""
    MEANINGS: dict[str, Meaning]
    """What each metric measures, and which values of it are better."""

    def score(self, predictions: pd.DataFrame, spec: Spec) -> pd.DataFrame:
        """Return the predictions with the metrics of each row.

        Among them its `loss` (the higher, the worse the prediction) and, where a prediction is right or wrong, the bool
        column `correct`: the one definition of a right prediction.

        Args:
            predictions: the columns of `outputs` with `id` and the task's targets, a row an example.
        """

    def metrics(self, predictions: pd.DataFrame, spec: Spec) -> Metrics:
        """Return the metrics of a table of predictions, as a function of the weights of its rows, int64 (B,).

        `name/class` (`recall/7`) is the metric of one class; a metric that is not defined is NaN.

        Args:
            predictions: as `score` returns them, or as a baseline does.

        Raises:
            TidemillError: a label does not occur in the training rows.
        """

    def plots(self, predictions: pd.DataFrame, spec: Spec) -> dict[str, pd.DataFrame]:
        """Return tables to plot, by name: each becomes `plots/<name>.svg` and a plot of the report.

        Args:
            predictions: as `score` returns them.
        """

    def is_same(self, one: "pd.Series[str]", other: "pd.Series[str]") -> "pd.Series[bool]":
        """Return whether the columns `prediction` of two tables say the same, row by row, under the index of `one`."""


def of(task: str) -> ScoringPart:
    """Return the scoring part of a task, by the task's name."""
    part: ScoringPart = plugins.load("tasks", task, "scoring")
    return part


def metrics(task: str, predictions: pd.DataFrame, spec: Spec) -> Metrics:
    """Return all metrics of a table of scored predictions: those of the task, and those of `tidemill/metrics/` that fit.

    Args:
        task: name of the task.
        predictions: as `score` of the task returns them.
    """
    own = of(task).metrics(predictions, spec)
    further = {name: metric.measure(predictions, spec) for name, metric in _further(task).items()}
    return lambda weights: own(weights) | {name: measure(weights) for name, measure in further.items()}


def meanings(task: str) -> dict[str, Meaning]:
    """Return what each metric of a task means."""
    return of(task).MEANINGS | {name: metric.MEANING for name, metric in _further(task).items()}


def sign(task: str, metric: str) -> int:
    """Return 1 if a higher value of a metric is the better one, otherwise -1."""
    return meanings(task).get(metric, Meaning("")).sign


def _further(task: str) -> dict[str, MetricModule]:
    fits = (encoding.of(task).KINDS[0][1], rows.of(task).TARGETS)
    modules = {name: plugins.load("metrics", name) for name in plugins.names("metrics")}
    return {name: module for name, module in modules.items() if fits == (module.OUTPUT, module.TARGETS)}


def equal(one: "pd.Series[str]", other: "pd.Series[str]") -> "pd.Series[bool]":
    """Return whether two predictions are the same text, row by row."""
    return pd.Series(one.to_numpy() == other.to_numpy(), index=one.index, dtype=bool)


def score_labels(predictions: pd.DataFrame, spec: Spec) -> pd.DataFrame:
    """Return predictions of one label a row with `correct`, and `loss`: the negative log-likelihood of the label, in nats.

    Raises:
        TidemillError: a label does not occur in the training rows.
    """
    given = np.stack(predictions["probabilities"].to_list()).astype(np.float64)
    of_label = given[np.arange(len(given)), encode_labels(predictions, spec)]
    loss = -np.log(np.maximum(of_label, np.finfo(np.float64).eps))
    return predictions.assign(correct=equal(predictions["prediction"], predictions["label"]), loss=loss)


def label_metrics(predictions: pd.DataFrame, spec: Spec) -> Metrics:
    """Return accuracy; macro and per-class precision, recall and F1; calibration error; and log loss.

    Log loss takes `probabilities`, in the order of the spec's labels; without that column it is left out.

    Raises:
        TidemillError: a label or prediction is not one of the spec's.
    """
    labels = spec["labels"]
    actual = encode_labels(predictions, spec)
    predicted = encode_labels(predictions.assign(label=predictions["prediction"]), spec)
    calibration_of = calibration_error(predictions["confidence"], actual == predicted)
    losses = score_labels(predictions, spec)["loss"].to_numpy() if "probabilities" in predictions else None

    def weighted(weights: NDArray[np.int64]) -> dict[str, float]:
        found = _from_counts(confusion_counts(actual, predicted, weights, len(labels)), labels)
        found["calibration_error"] = calibration_of(weights)
        if losses is not None:
            found["log_loss"] = float(weights @ losses / weights.sum())
        return found

    return weighted


def label_plots(predictions: pd.DataFrame, spec: Spec) -> dict[str, pd.DataFrame]:
    """Return `confusion` (actual and predicted label, a row an example) and `calibration`."""
    confusion = pd.DataFrame({"actual": predictions["label"], "predicted": predictions["prediction"]})
    correct = equal(predictions["prediction"], predictions["label"])
    return {"confusion": confusion, "calibration": calibration(predictions["confidence"], correct)}


def confusion_counts(actual: Codes, predicted: Codes, weights: NDArray[np.int64], classes: int) -> Counts:
    """Return weighted counts (classes, classes) by actual (down) and predicted (across) class."""
    cells = np.bincount(actual * classes + predicted, weights=weights, minlength=classes * classes)
    return cells.reshape(classes, classes).astype(np.float64)


def shares(parts: Counts, wholes: Counts, defined: NDArray[np.bool_]) -> Counts:
    """Divide parts by their wholes: 0 where the whole is 0, NaN where the share is not defined."""
    found = np.divide(parts, wholes, out=np.zeros(len(parts)), where=wholes > 0)
    return np.where(defined, found, np.nan)


def calibration_error(confidence: "pd.Series[float]", correct: NDArray[Any]) -> Callable[[NDArray[np.int64]], float]:
    """Return the expected calibration error as a function of row weights.

    It is the distance of mean confidence and accuracy in each bin of confidence, averaged over the rows: Guo et al.,
    On Calibration of Modern Neural Networks, ICML 2017, equation 3.
    """
    stated = confidence.to_numpy(dtype=np.float64)
    gap, bins = stated - correct, _bins(stated)
    return lambda weights: float(np.abs(np.bincount(bins, weights=weights * gap)).sum() / weights.sum())


def calibration(confidence: "pd.Series[float]", correct: "pd.Series[Any]") -> pd.DataFrame:
    """Return mean confidence, accuracy and number of rows of each bin of confidence that is not empty."""
    table = pd.DataFrame({"confidence": confidence, "accuracy": correct.astype(float), "rows": 1})
    bins = table.groupby(_bins(confidence.to_numpy(dtype=np.float64)))
    return bins.agg({"confidence": "mean", "accuracy": "mean", "rows": "sum"})


def _bins(confidence: NDArray[np.floating[Any]]) -> Codes:
    """Return the bin of each confidence: of equal width, open below and closed above."""
    bins: Codes = np.clip(np.ceil(confidence * BINS) - 1, 0, BINS - 1).astype(np.int64)
    return bins


def _from_counts(counts: Counts, labels: list[str]) -> dict[str, float]:
    """Return the metrics that need the confusion counts alone.

    A class that is neither in the rows nor predicted counts in no mean; any other division by zero is 0, as in
    scikit-learn.
    """
    right, actual, predicted = counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)
    present = actual + predicted > 0
    by_class = {
        "precision": shares(right, predicted, present),
        "recall": shares(right, actual, present),
        "f1": shares(2 * right, actual + predicted, present),
    }
    found = {"accuracy": float(right.sum() / counts.sum())}
    found |= {name: float(values[present].mean()) for name, values in by_class.items()}
    found["lowest_recall"] = float(by_class["recall"][actual > 0].min())
    for name, values in by_class.items():
        found |= {f"{name}/{label}": float(value) for label, value in zip(labels, values, strict=True)}
    return found


NUMBER_METRIC = "r2"
"""The main metric of a task that predicts numbers: it needs no unit."""
NUMBER_MEANINGS: dict[str, Meaning] = {
    "r2": Meaning("share of the target's variance that the predictions explain; 1 is best, 0 is the mean of the rows"),
    "rmse": Meaning("root of the mean squared error, in the target's unit; 0 is best", higher_is_better=False),
    "mae": Meaning("mean absolute error, in the target's unit; 0 is best", higher_is_better=False),
}
CLOSE = 0.01
"""Share of the larger of two numbers up to which they count as the same prediction."""


def score_numbers(predictions: pd.DataFrame, spec: Spec) -> pd.DataFrame:
    """Return predictions of numbers with their `loss`: the squared error, in variances of the training rows' target."""
    return predictions.assign(loss=(_errors(predictions) / spec["target"]["deviation"]) ** 2)


def number_metrics(predictions: pd.DataFrame, spec: Spec) -> Metrics:
    """Return R², root mean squared error and mean absolute error; R² is NaN where all targets are the same."""
    target, errors = predictions["target"].to_numpy(np.float64), _errors(predictions)

    def weighted(weights: NDArray[np.int64]) -> dict[str, float]:
        total = weights.sum()
        squared = float(weights @ errors**2 / total)
        spread = float(weights @ (target - weights @ target / total) ** 2 / total)
        return {
            "r2": 1 - squared / spread if spread > 0 else np.nan,
            "rmse": math.sqrt(squared),
            "mae": float(weights @ np.abs(errors) / total),
        }

    return weighted


def number_plots(predictions: pd.DataFrame, spec: Spec) -> dict[str, pd.DataFrame]:
    """Return `predicted`, by the actual target, and `residuals`, by the prediction."""
    actual, predicted = predictions["target"], predictions["prediction"]
    return {
        "predicted": pd.DataFrame({"actual": actual, "predicted": predicted}),
        "residuals": pd.DataFrame({"predicted": predicted, "residual": actual - predicted}),
    }


def close(one: "pd.Series[Any]", other: "pd.Series[Any]") -> "pd.Series[bool]":
    """Return whether two numbers differ by at most `CLOSE` of the larger one, row by row."""
    first, second = one.to_numpy(np.float64), other.to_numpy(np.float64)
    largest = np.maximum(np.abs(first), np.abs(second))
    return pd.Series(np.abs(first - second) <= CLOSE * largest, index=one.index, dtype=bool)


def _errors(predictions: pd.DataFrame) -> NDArray[np.float64]:
    targets = numbers(predictions["target"])  # a file that is monitored may hold them as text
    return (predictions["prediction"] - targets).to_numpy(np.float64)
