"""The longest time that a prediction may take."""

from typing import Annotated

from pydantic import Field

from tidemill.registry.candidate import Candidate
from tidemill.registry.checks import Check, at_most

Limit = Annotated[float, Field(gt=0)]
DEFAULT = None
MEANING = "Milliseconds within which 95 of 100 single rows are predicted, by `latency.json`."


def check(limit: float, candidate: Candidate) -> list[Check]:
    """Check the 95th percentile of the latency of one row."""
    return [at_most("latency in ms, 95 of 100 rows", candidate.latency["p95_ms"], limit)]
