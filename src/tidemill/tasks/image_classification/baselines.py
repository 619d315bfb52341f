"""Baselines: the commonest label, and a linear model on the pixels of small pictures."""

import pandas as pd

from tidemill.core.spec import Spec
from tidemill.tasks.common import baselines as common
from tidemill.tokens.pixels import stacked

LINEAR_SIDE = 32
"""Height and width, in pixels, that the linear model sees at most: more add little and cost much."""


def baselines(train: pd.DataFrame, test: pd.DataFrame, spec: Spec) -> dict[str, pd.DataFrame]:
    """Return the predictions of `majority` and `linear`."""
    height, width, channels = spec["shape"]
    shape = [min(height, LINEAR_SIDE), min(width, LINEAR_SIDE), channels]
    return {
        "majority": common.majority(train, test, spec),
        "linear": common.linear_pixels(train, test, spec, lambda rows: stacked(rows["image"], shape)),
    }
