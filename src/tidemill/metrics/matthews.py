"""Matthews correlation coefficient: 1 if every prediction is right, 0 for guessing, whatever the sizes of the classes.

For several classes after Gorodkin, "Comparing two K-category assignments by a K-category correlation coefficient", 2004.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tidemill.core.meaning import Meaning
from tidemill.core.spec import Output, Spec

if TYPE_CHECKING:
    from numpy.typing import NDArray

OUTPUT: Output = "labels"
TARGETS = ("label",)
MEANING = Meaning("correlation of predicted and actual classes; 1 is best, 0 is guessing")


def measure(predictions: pd.DataFrame, spec: Spec) -> "Callable[[NDArray[np.int64]], float]":
    """Return the metric as a function of row weights.

    Args:
        predictions: columns `label` and `prediction`, one row an example.
    """
    labels = pd.Index(spec["labels"])
    actual, predicted = (labels.get_indexer(pd.Index(predictions[name])) for name in ("label", "prediction"))

    def weighted(weights: "NDArray[np.int64]") -> float:
        cells = np.bincount(actual * len(labels) + predicted, weights=weights, minlength=len(labels) ** 2)
        counts = cells.reshape(len(labels), len(labels))
        total, right = counts.sum(), np.trace(counts)
        by_actual, by_predicted = counts.sum(axis=1), counts.sum(axis=0)
        spread = math.sqrt((total**2 - by_predicted @ by_predicted) * (total**2 - by_actual @ by_actual))
        return float((right * total - by_actual @ by_predicted) / spread) if spread else 0.0

    return weighted
