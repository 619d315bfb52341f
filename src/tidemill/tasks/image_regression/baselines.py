"""Baselines: the mean and the median of the training rows, and a ridge on the pixels of small pictures."""

import pandas as pd

from tidemill.core.spec import Spec
from tidemill.tasks.common import baselines as common
from tidemill.tokens.pixels import stacked


def baselines(train: pd.DataFrame, test: pd.DataFrame, spec: Spec) -> dict[str, pd.DataFrame]:
    """Return the predictions of `mean`, `median` and `ridge`."""
    shape = common.linear_shape(spec)
    features, test_features = (common.scaled(stacked(rows["image"], shape)) for rows in (train, test))
    return {**common.constants(train, test), "ridge": common.ridge(features, train, test_features, test)}
