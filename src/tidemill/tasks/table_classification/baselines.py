"""Baselines: the commonest label, and a linear model on the encoded columns."""

import pandas as pd

from tidemill.core.spec import Spec
from tidemill.tasks.common import baselines as common


def baselines(train: pd.DataFrame, test: pd.DataFrame, spec: Spec) -> dict[str, pd.DataFrame]:
    """Return the predictions of `majority` and `linear`."""
    return {"majority": common.majority(train, test, spec), "linear": common.linear_columns(train, test, spec)}
