"""What a linear model has learned, as a reader can check it: the n-grams with the largest weights."""

from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from tidemill.core.spec import Spec

SHOWN = 20
"""N-grams of a label."""


def explain(network: nn.Module, tokenizer: Any, spec: Spec) -> pd.DataFrame:
    """Return `label`, `kind` (words or characters), `feature` and `weight` of the n-grams that speak most for each label."""
    weights = network.get_parameter("weight").detach().numpy()
    if weights.shape[1] < len(spec["labels"]):
        weights = np.concatenate([-weights, weights], axis=1)
    rows = [
        (label, *tokenizer.shown(int(number)), float(column[number]))
        for label, column in zip(spec["labels"], weights.T, strict=True)
        for number in np.argsort(-column, kind="stable")[:SHOWN]
        if column[number] > 0
    ]
    return pd.DataFrame(rows, columns=["label", "kind", "feature", "weight"])
