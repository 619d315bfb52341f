"""Prediction: the labels of a text that are likelier than not."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tidemill.core.labels import joined
from tidemill.core.spec import Spec
from tidemill.tokens.texts import text_inputs

if TYPE_CHECKING:
    import torch

Options = None
respond = None
stream = None

LIKELY = 0.5
"""The probability from which a label is predicted, unless the spec has a threshold for it."""


def outputs(network: "torch.nn.Module", batch: dict[str, "torch.Tensor"], spec: Spec) -> dict[str, Any]:
    """Return the labels that reach their thresholds, the probability that they are all right, and that of each label."""
    logits = network(*text_inputs(batch)) / spec.get("temperature", 1.0)
    chances, thresholds = logits.double().sigmoid().cpu().numpy(), spec.get("thresholds", {})
    chosen = chances >= np.array([thresholds.get(label, LIKELY) for label in spec["labels"]])
    return label_sets(chances, spec["labels"], chosen)


def label_sets(
    chances: NDArray[np.float64], labels: Sequence[str], chosen: NDArray[np.bool_] | None = None
) -> dict[str, Any]:
    """Return the predicted labels of each row as list and as text, with the probabilities behind them.

    Args:
        chances: the probability of each label in each row (B, labels).
        chosen: the labels to predict (B, labels); without it, those that are likely.
    """
    chosen = chances >= LIKELY if chosen is None else chosen
    predicted = [[labels[int(place)] for place in np.flatnonzero(row)] for row in chosen]
    return {
        "prediction": [joined(row) for row in predicted],
        "confidence": np.where(chosen, chances, 1 - chances).prod(axis=1),
        "probabilities": list(chances),
        "predicted": predicted,
    }
