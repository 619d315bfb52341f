"""How a model's logits are read, found on the validation rows: a temperature for them all, and thresholds of labels."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tidemill.core.errors import TidemillError
from tidemill.core.spec import Spec
from tidemill.models.common.calibration import calibrated
from tidemill.tasks.common.learning import LearningPart
from tidemill.tokens.batches import Batches
from tidemill.tokens.shards import MemoryShards, Shards
from tidemill.training.params import Threshold, Training

Floats = NDArray[np.float64]
BATCH = 128
"""Rows that are read at once."""
Rows = Shards | MemoryShards


def check(params: Training, spec: Spec, valid: Rows) -> None:
    """Check that there are rows to find it on, and that the labels are such as a threshold can decide between.

    Raises:
        TidemillError: there are no validation rows, a row has one of more than two labels, or there is no such label.
    """
    threshold = params.threshold
    if (params.calibrate or threshold) and not len(valid):
        raise TidemillError("training: no validation rows to calibrate or to choose a threshold on: raise ingest.valid")
    if threshold is None:
        return
    labels = spec["labels"]
    if len(labels) > 2 and not several(valid.columns["labels"]):
        raise TidemillError(
            f"training.threshold: one decides between two labels, but a row here has one of {len(labels)}: leave it out"
        )
    if threshold.label is not None and threshold.label not in labels:
        raise TidemillError(f"training.threshold.label: no label {threshold.label!r}; there are {', '.join(labels)}")


def found(network: torch.nn.Module, task: LearningPart, valid: Rows, params: Training, spec: Spec) -> Spec:
    """Return what the params ask for: `temperature`, `thresholds`, both or nothing."""
    if task.logits is None or not (params.calibrate or params.threshold):
        return {}
    logits, labels = _read(network.eval(), task, Batches(valid, BATCH))
    reading: Spec = {}
    if params.calibrate:
        reading["temperature"] = 1 / calibrated(logits, labels)
        print(f"temperature {reading['temperature']:.3f}", flush=True)
    if params.threshold is not None:
        chances = _chances(logits / reading.get("temperature", 1.0), labels)
        reading["thresholds"] = _thresholds(chances, labels, params.threshold, spec)
    return reading


def best_threshold(chances: Floats, belongs: NDArray[np.bool_], params: Threshold) -> tuple[float, bool]:
    """Return the probability from which a label is best predicted, halfway between two of the rows, and whether that keeps
    what the params say must be kept.

    Of equally good ones it is the lowest.

    Args:
        chances: the probability of the label in each row (B,).
        belongs: whether it is a label of the row (B,); it is of one at least.
    """
    order = np.argsort(-chances, kind="stable")
    ordered, right = chances[order], np.cumsum(belongs[order])
    last = np.flatnonzero(np.append(np.diff(ordered) != 0, True))  # of rows with the same probability
    precision, recall = right[last] / (last + 1), right[last] / belongs.sum()
    f1 = 2 * right[last] / (last + 1 + belongs.sum())
    value, kept = {"f1": (f1, f1), "recall": (recall, precision), "precision": (precision, recall)}[params.metric]
    enough = kept >= (params.least or 0.0)
    allowed = np.flatnonzero(enough if enough.any() else kept == kept.max())
    place = last[allowed[np.lexsort((kept[allowed], value[allowed]))[-1]]]
    below = ordered[place + 1] if place + 1 < len(ordered) else 0.0
    return float((ordered[place] + below) / 2), bool(enough.any())


def several(labels: Any) -> bool:
    """Return whether a row has several labels (B, labels), and not one (B,)."""
    return bool(labels.ndim == 2)


def _chances(logits: Floats, labels: NDArray[Any]) -> Floats:
    """Return the probability of each label (B, labels) by logits (B, outputs); a single output is of the second label."""
    from scipy.special import expit, softmax

    if not several(labels) and logits.shape[1] > 1:
        return np.asarray(softmax(logits, axis=1))
    chances = expit(logits)
    return np.asarray(chances if several(labels) else np.hstack([1 - chances, chances]))


def _thresholds(chances: Floats, labels: NDArray[Any], params: Threshold, spec: Spec) -> dict[str, float]:
    """Return the threshold of each label in question that a validation row has."""
    of_many = several(labels)
    wanted = [params.label] if params.label is not None else spec["labels"] if of_many else spec["labels"][1:]
    thresholds = {}
    for label in wanted:
        place = spec["labels"].index(label)
        belongs = labels[:, place] > 0 if of_many else labels == place
        if belongs.any():
            thresholds[label], kept = best_threshold(chances[:, place], belongs, params)
            short = "" if kept else f": no threshold keeps {params.least}, this one comes nearest"
            print(f"threshold of {label} {thresholds[label]:.3f}{short}", flush=True)
    return thresholds


def _read(network: torch.nn.Module, task: LearningPart, valid: Batches) -> tuple[Floats, NDArray[Any]]:
    """Return logits (B, outputs) and labels (B,) or (B, labels) of the validation rows."""
    assert task.logits is not None
    logits, labels = [], []
    with torch.inference_mode():
        for batch in valid:
            logits.append(task.logits(network, batch).double().cpu().numpy())
            labels.append(batch["labels"].cpu().numpy())
    return np.concatenate(logits), np.concatenate(labels)
