"""Scoring: how well sets of labels are predicted."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tidemill.core.intervals import Metrics
from tidemill.core.labels import SEPARATOR, joined
from tidemill.core.meaning import Meaning
from tidemill.core.spec import Spec
from tidemill.tasks.common import scoring as common
from tidemill.tasks.multilabel_classification.encoding import label_matrix

MAIN_METRIC = "micro_f1"
MEANINGS = {
    "micro_f1": Meaning("harmonic mean of micro precision and micro recall"),
    "micro_precision": Meaning("of all predicted labels, the share that is right"),
    "micro_recall": Meaning("of all labels that the rows have, the share that is predicted"),
    "macro_f1": Meaning("harmonic mean of precision and recall of a label; mean over the labels"),
    "subset_accuracy": Meaning("share of rows whose labels are all right"),
    "hamming_loss": Meaning("share of wrong decisions, one for each row and label; 0 is best", higher_is_better=False),
    "lowest_recall": Meaning("recall of the label with the lowest one"),
    "calibration_error": Meaning(common.CALIBRATION_ERROR, higher_is_better=False),
    "log_loss": Meaning(
        "mean negative log-likelihood of the actual labels of a row, in nats; 0 is best", higher_is_better=False
    ),
}


def score(predictions: pd.DataFrame, spec: Spec) -> pd.DataFrame:
    """Return the predictions with `label` (all labels as one text), `correct` (all are right) and `loss` in nats."""
    return predictions.assign(
        label=predictions["labels"].map(joined), correct=_correct(predictions), loss=_losses(predictions, spec)
    )


def metrics(predictions: pd.DataFrame, spec: Spec) -> Metrics:
    """Return F1 over all labels and by label, precision and recall, subset accuracy, and log loss."""
    labels = spec["labels"]
    actual, predicted = (label_matrix(predictions[name], labels) for name in ("labels", "predicted"))
    right = (actual == predicted).all(axis=1)
    wrong = (actual != predicted).mean(axis=1)
    losses = _losses(predictions, spec)
    calibration_error = common.calibration_error(predictions["confidence"], right)

    def weighted(weights: NDArray[np.int64]) -> dict[str, float]:
        total = weights.sum()
        return _from_counts(weights @ (actual & predicted), weights @ predicted, weights @ actual, labels) | {
            "subset_accuracy": float(weights @ right / total),
            "hamming_loss": float(weights @ wrong / total),
            "calibration_error": calibration_error(weights),
            "log_loss": float(weights @ losses / total),
        }

    return weighted


def plots(predictions: pd.DataFrame, spec: Spec) -> dict[str, pd.DataFrame]:
    """Return `calibration`: confidence, share of rows whose labels are all right, and rows of each bin."""
    return {"calibration": common.calibration(predictions["confidence"], _correct(predictions))}


def is_same(one: "pd.Series[str]", other: "pd.Series[str]") -> "pd.Series[bool]":
    """Return whether two predictions are the same set of labels, whatever their order."""
    pairs = zip(one, other, strict=True)
    same = [set(first.split(SEPARATOR)) == set(second.split(SEPARATOR)) for first, second in pairs]
    return pd.Series(same, index=one.index, dtype=bool)


def _correct(predictions: pd.DataFrame) -> "pd.Series[bool]":
    pairs = zip(predictions["labels"], predictions["predicted"], strict=True)
    return pd.Series([set(actual) == set(predicted) for actual, predicted in pairs], index=predictions.index)


def _losses(predictions: pd.DataFrame, spec: Spec) -> NDArray[np.float64]:
    actual = label_matrix(predictions["labels"], spec["labels"])
    chances = np.stack(predictions["probabilities"].to_list()).astype(np.float64)
    of_actual = np.where(actual, chances, 1 - chances)
    losses: NDArray[np.float64] = -np.log(np.maximum(of_actual, np.finfo(np.float64).eps)).sum(axis=1)
    return losses


def _from_counts(
    right: NDArray[Any], predicted: NDArray[Any], actual: NDArray[Any], labels: Sequence[str]
) -> dict[str, float]:
    """Return metrics by the weighted counts of each label: rightly predicted, predicted at all, and actual.

    A label that is neither actual nor predicted counts in no mean; any other division by zero is 0, as in scikit-learn.
    """
    present = predicted + actual > 0
    by_label = {
        "precision": common.shares(right, predicted, present),
        "recall": common.shares(right, actual, present),
        "f1": common.shares(2 * right, predicted + actual, present),
    }
    found = {
        "micro_f1": _share(2 * right.sum(), predicted.sum() + actual.sum()),
        "micro_precision": _share(right.sum(), predicted.sum()),
        "micro_recall": _share(right.sum(), actual.sum()),
        "macro_f1": float(by_label["f1"][present].mean()) if present.any() else 0.0,
        "lowest_recall": float(by_label["recall"][actual > 0].min(initial=1.0)),
    }
    for name, values in by_label.items():
        found |= {f"{name}/{label}": float(value) for label, value in zip(labels, values, strict=True)}
    return found


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0
