"""How well sets of labels were found."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tidemill.tasks import Metrics, _classification
from tidemill.tasks._classification import shares
from tidemill.tasks.multilabel_classification import label_sets

MAIN_METRIC = "micro_f1"
MEANINGS = {
    "micro_f1": "harmonic mean of micro precision and micro recall",
    "micro_precision": "of all labels that were given, the share that is right",
    "micro_recall": "of all labels that the rows have, the share that was found",
    "macro_f1": "harmonic mean of precision and recall of a label; mean over the labels",
    "subset_accuracy": "share of rows whose labels are all right",
    "hamming_loss": "share of yes-or-no answers, one a row and label, that are wrong; 0 is best",
    "lowest_recall": "recall of the label that is found least",
    "calibration_error": "how far confidence in all labels of a row is from the share that is wholly right; 0 is best",
    "log_loss": "surprise at the right labels of a row, in nats; 0 is best",
}


def scored(predictions: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    """See the task."""
    actual = label_sets.encoded(predictions["labels"], labels)
    chances = np.stack(predictions["probabilities"].to_list()).astype(np.float64)
    of_truth = np.where(actual, chances, 1 - chances)
    return predictions.assign(
        label=predictions["labels"].map(label_sets.written),
        correct=_right(predictions),
        loss=-np.log(np.maximum(of_truth, np.finfo(np.float64).eps)).sum(axis=1),
    )


def metrics(predictions: pd.DataFrame, labels: Sequence[str]) -> Metrics:
    """See the task."""
    actual, predicted = (label_sets.encoded(predictions[name], labels) for name in ("labels", "predicted"))
    right = (actual == predicted).all(axis=1)
    wrong = (actual != predicted).mean(axis=1)
    losses = scored(predictions, labels)["loss"].to_numpy()
    calibration_error = _classification.calibration_error(predictions["confidence"], right)

    def weighted(weights: NDArray[np.int64]) -> dict[str, float]:
        total = weights.sum()
        return _from_counts(weights @ (actual & predicted), weights @ predicted, weights @ actual, labels) | {
            "subset_accuracy": float(weights @ right / total),
            "hamming_loss": float(weights @ wrong / total),
            "calibration_error": calibration_error(weights),
            "log_loss": float(weights @ losses / total),
        }

    return weighted


def calibration(predictions: pd.DataFrame) -> pd.DataFrame:
    """See the task."""
    return _classification.calibration(predictions["confidence"], _right(predictions))


def _right(predictions: pd.DataFrame) -> "pd.Series[bool]":
    pairs = zip(predictions["labels"], predictions["predicted"], strict=True)
    return pd.Series([set(actual) == set(predicted) for actual, predicted in pairs], index=predictions.index)


def _from_counts(
    right: NDArray[Any], given: NDArray[Any], present: NDArray[Any], labels: Sequence[str]
) -> dict[str, float]:
    """Metrics by the weighted counts of each label: rightly given, given at all, and present.

    A label that is neither present nor given counts in no mean; else a division by nothing is 0, as in scikit-learn.
    """
    seen = given + present > 0
    by_label = {
        "precision": shares(right, given, seen),
        "recall": shares(right, present, seen),
        "f1": shares(2 * right, given + present, seen),
    }
    found = {
        "micro_f1": _share(2 * right.sum(), given.sum() + present.sum()),
        "micro_precision": _share(right.sum(), given.sum()),
        "micro_recall": _share(right.sum(), present.sum()),
        "macro_f1": float(by_label["f1"][seen].mean()) if seen.any() else 0.0,
        "lowest_recall": float(by_label["recall"][present > 0].min(initial=1.0)),
    }
    for name, values in by_label.items():
        found |= {f"{name}/{label}": float(value) for label, value in zip(labels, values, strict=True)}
    return found


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0
