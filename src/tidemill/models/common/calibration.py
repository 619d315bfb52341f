"""Scaling logits by one factor, so that their probabilities are as often right as they say: it changes no prediction.

The factor is the inverse of the temperature of Guo et al., On Calibration of Modern Neural Networks, ICML 2017.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

WIDEST = 6.0
"""Natural logarithm of the largest factor by which scores are scaled, up or down."""
Floats = NDArray[np.float64]


def calibrated(scores: Floats, labels: NDArray[Any]) -> float:
    """Return the factor for scores (B, outputs) that makes the labels likeliest.

    Args:
        labels: the place of one of several labels (B,), or which outputs are true (B,) or (B, outputs).
    """
    from scipy.optimize import minimize_scalar

    loss = _loss_of_labels if labels.ndim == 1 and scores.shape[1] > 1 else _loss_of_sigmoids
    found = minimize_scalar(
        lambda log: loss(scores * math.exp(log), labels), bounds=(-WIDEST, WIDEST), method="bounded"
    )
    return math.exp(found.x)


def _loss_of_labels(logits: Floats, labels: NDArray[Any]) -> float:
    """Return the mean cross-entropy of one of several labels.

    A row's share of the target goes to all labels alike, so that scores which tell all rows apart do not end in certainty.
    """
    from scipy.special import log_softmax

    chances, share = log_softmax(logits, axis=1), 1 / (len(labels) + 1)
    own = chances[np.arange(len(labels)), labels]
    return -float(((1 - share) * own + share * chances.mean(axis=1)).mean())


def _loss_of_sigmoids(logits: Floats, labels: NDArray[Any]) -> float:
    """Return the mean cross-entropy of outputs that are true or false each, with the same share for both."""
    share = 1 / (len(labels) + 1)
    targets = labels.reshape(logits.shape) * (1 - share) + share / 2
    return float((np.logaddexp(0, logits) - targets * logits).mean())
