"""Params of monitoring; no stage reads them."""

from typing import Annotated

from pydantic import Field

from tidemill.core.params import Fraction, Params


class Monitor(Params):
    """How far new inputs may be from those of the training before it is an alarm."""

    sample: Annotated[int, Field(ge=50)] = 1000
    """New rows that are examined, at most, and rows of the version's own that they are compared with."""
    distance: Annotated[float, Field(gt=0)] = 0.2
    """Largest distance of a column's distribution from that of the version's own rows: normed Wasserstein for numbers,
    Jensen-Shannon for classes."""
    accuracy_drop: Fraction = 0.05
    """How far the main metric may fall below that of the test, where new rows have labels."""
    retrain: bool = False
    """Whether the retrain deployment is started when a limit is passed, once for the same new data."""
