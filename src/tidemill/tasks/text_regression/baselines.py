"""Baselines: the mean and the median of the training rows, and a ridge on TF-IDF."""

import pandas as pd

from tidemill.core.spec import Spec
from tidemill.tasks.common import baselines as common


def baselines(train: pd.DataFrame, test: pd.DataFrame, spec: Spec) -> dict[str, pd.DataFrame]:
    """Return the predictions of `mean`, `median` and `ridge`."""
    features, test_features = common.tfidf(train["text"], test["text"])
    return {**common.constants(train, test), "ridge": common.ridge(features, train, test_features, test)}
