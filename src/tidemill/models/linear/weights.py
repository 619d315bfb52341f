"""What a linear model has learned, as a reader can check it: the n-grams with the largest weights."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import nn

from tidemill.core.spec import Spec
from tidemill.models.common.columns import Expanded

SHOWN = 20
"""N-grams of a label."""


def explain(network: nn.Module, tokenizer: Any, spec: Spec) -> pd.DataFrame:
    """Return `label`, `kind` (words or characters), `feature` and `weight` of the n-grams that speak most for each label."""
    weights = network.get_parameter("weight").detach().numpy()
    if "columns" in spec:
        return _of_columns(weights, spec)
    if weights.shape[1] < len(spec["labels"]):
        weights = np.concatenate([-weights, weights], axis=1)
    rows = [
        (label, *tokenizer.shown(int(number)), float(column[number]))
        for label, column in zip(spec["labels"], weights.T, strict=True)
        for number in np.argsort(-column, kind="stable")[:SHOWN]
        if column[number] > 0
    ]
    return pd.DataFrame(rows, columns=["label", "kind", "feature", "weight"])


def _of_columns(weights: NDArray[np.float32], spec: Spec) -> pd.DataFrame:
    """Return the features with the largest weights, whatever their sign, for each label; of numbers, for the target.

    A weight is that of a standard deviation of a number, or of a category that is there.
    """
    names = Expanded(spec["columns"]).names
    labels = spec.get("labels", ["target"])
    rows = [
        (label, "columns", names[place], float(column[place]))
        for label, column in zip(labels[-weights.shape[1] :], weights.T, strict=True)
        for place in np.argsort(-np.abs(column), kind="stable")[:SHOWN]
        if column[place]
    ]
    return pd.DataFrame(rows, columns=["label", "kind", "feature", "weight"])
