"""Baselines: the commonest label, and a linear model on the pixels of small pictures."""

import pandas as pd

from tidemill.core.spec import Spec
from tidemill.tasks.common import baselines as common
from tidemill.tokens.pixels import stacked


def baselines(train: pd.DataFrame, test: pd.DataFrame, spec: Spec) -> dict[str, pd.DataFrame]:
    """Return the predictions of `majority` and `linear`."""
    shape = common.linear_shape(spec)
    return {
        "majority": common.majority(train, test, spec),
        "linear": common.linear_pixels(train, test, spec, lambda rows: stacked(rows["image"], shape)),
    }
