"""Baselines: the mean and the median of the training rows, and a ridge on the encoded columns."""

import pandas as pd

from tidemill.core.spec import Spec
from tidemill.tasks.common import baselines as common


def baselines(train: pd.DataFrame, test: pd.DataFrame, spec: Spec) -> dict[str, pd.DataFrame]:
    """Return the predictions of `mean`, `median` and `ridge`."""
    features, test_features = (common.features_of_columns(rows, spec) for rows in (train, test))
    return {**common.constants(train, test), "ridge": common.ridge(features, train, test_features, test)}
