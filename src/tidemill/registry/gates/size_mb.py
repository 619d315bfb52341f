"""The largest size of the weights."""

from typing import Annotated

from pydantic import Field

from tidemill.registry.candidate import Candidate
from tidemill.registry.checks import Check, at_most

Limit = Annotated[float, Field(gt=0)]
DEFAULT = None
MEANING = "Largest size of the weights, in megabytes of 1,000,000 bytes."


def check(limit: float, candidate: Candidate) -> list[Check]:
    """Check the size of the weights."""
    return [at_most("size of the weights in MB", candidate.megabytes, limit)]
