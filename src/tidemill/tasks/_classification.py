"""Metrics and plots that the classification tasks share.

All are read off a table of predictions with the columns `label`, `prediction`, `confidence` and, where the model
has them, `probabilities` (in the order of `spec["labels"]`).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tidemill.tasks import Metrics, _labels

MAIN_METRIC = "accuracy"
MEANINGS = {
    "accuracy": "share of rows whose label was found",
    "precision": "of the rows called a class, the share that are of it; mean over the classes",
    "recall": "of the rows of a class, the share that was found; mean over the classes",
    "f1": "harmonic mean of precision and recall; mean over the classes",
    "lowest_recall": "recall of the class that is found least",
    "calibration_error": "how far confidence is from the share of right answers; 0 is best",
    "log_loss": "surprise at the right labels, in nats; 0 is best",
}
BINS = 15
"""Bins of the calibration error, as many as Guo et al. (2017) take."""

Counts = NDArray[np.float64]
Codes = NDArray[np.integer[Any]]


def metrics(predictions: pd.DataFrame, spec: dict[str, Any]) -> Metrics:
    """Accuracy; macro and per-class precision, recall and F1; calibration error and log loss, by row weights.

    Raises:
        TidemillError: a label or prediction is not one of the spec's.
    """
    labels = spec["labels"]
    actual = _labels.encode_labels(predictions, spec)
    predicted = _labels.encode_labels(predictions.assign(label=predictions["prediction"]), spec)
    calibration = calibration_error(predictions["confidence"], actual == predicted)
    losses = score(predictions, spec)["loss"].to_numpy() if "probabilities" in predictions else None

    def weighted(weights: NDArray[np.int64]) -> dict[str, float]:
        found = _from_counts(confusion_counts(actual, predicted, weights, len(labels)), labels)
        found["calibration_error"] = calibration(weights)
        if losses is not None:
            found["log_loss"] = float(weights @ losses / weights.sum())
        return found

    return weighted


def plots(predictions: pd.DataFrame, spec: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """`confusion`: actual and predicted, one row an example. `calibration`: see there."""
    confusion = pd.DataFrame({"actual": predictions["label"], "predicted": predictions["prediction"]})
    correct = predictions["label"] == predictions["prediction"]
    return {"confusion": confusion, "calibration": calibration(predictions["confidence"], correct)}


def calibration(confidence: "pd.Series[float]", correct: "pd.Series[Any]") -> pd.DataFrame:
    """Mean confidence, accuracy and rows of each bin of confidence that is not empty."""
    table = pd.DataFrame({"confidence": confidence, "accuracy": correct.astype(float), "rows": 1})
    bins = table.groupby(_bins(confidence.to_numpy(dtype=np.float64)))
    return bins.agg({"confidence": "mean", "accuracy": "mean", "rows": "sum"})


def score(predictions: pd.DataFrame, spec: dict[str, Any]) -> pd.DataFrame:
    """The predictions with the `loss` of each: minus the log of the probability given to its label, in nats."""
    given = np.stack(predictions["probabilities"].to_list()).astype(np.float64)
    of_label = given[np.arange(len(given)), _labels.encode_labels(predictions, spec)]
    return predictions.assign(loss=-np.log(np.maximum(of_label, np.finfo(np.float64).eps)))


def confusion_counts(actual: Codes, predicted: Codes, weights: NDArray[np.int64], classes: int) -> Counts:
    """Weighted counts by actual (rows) and predicted (columns) class."""
    cells = np.bincount(actual * classes + predicted, weights=weights, minlength=classes * classes)
    return cells.reshape(classes, classes).astype(np.float64)


def _from_counts(counts: Counts, labels: list[str]) -> dict[str, float]:
    """Metrics that only need the confusion counts.

    A class that is neither in the rows nor predicted counts in no mean; else a division by nothing is 0, as in
    scikit-learn.
    """
    right, actual, predicted = counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)
    seen = actual + predicted > 0
    by_class = {
        "precision": shares(right, predicted, seen),
        "recall": shares(right, actual, seen),
        "f1": shares(2 * right, actual + predicted, seen),
    }
    found = {"accuracy": float(right.sum() / counts.sum())}
    found |= {name: float(values[seen].mean()) for name, values in by_class.items()}
    found["lowest_recall"] = float(by_class["recall"][actual > 0].min())
    for name, values in by_class.items():
        found |= {f"{name}/{label}": float(value) for label, value in zip(labels, values, strict=True)}
    return found


def shares(parts: Counts, wholes: Counts, defined: NDArray[np.bool_]) -> Counts:
    """The parts of their wholes, 0 where there is no whole; NaN where it is not defined."""
    found = np.divide(parts, wholes, out=np.zeros(len(parts)), where=wholes > 0)
    return np.where(defined, found, np.nan)


def _bins(confidence: NDArray[np.floating[Any]]) -> Codes:
    """Equal-width bins, each open below and closed above."""
    bins: Codes = np.clip(np.ceil(confidence * BINS) - 1, 0, BINS - 1).astype(np.int64)
    return bins


def calibration_error(confidence: "pd.Series[float]", correct: NDArray[Any]) -> Callable[[NDArray[np.int64]], float]:
    """Expected calibration error by row weights: mean distance of confidence and accuracy over the bins, by their rows.

    Guo et al., On Calibration of Modern Neural Networks, ICML 2017, equation 3.
    """
    stated = confidence.to_numpy(dtype=np.float64)
    gap, bins = stated - correct, _bins(stated)
    return lambda weights: float(np.abs(np.bincount(bins, weights=weights * gap)).sum() / weights.sum())
