"""The most that a training may have spent of differential privacy."""

from typing import Annotated

from pydantic import Field

from tidemill.registry.candidate import Candidate
from tidemill.registry.checks import Check, at_most

Limit = Annotated[float, Field(gt=0)]
DEFAULT = None
MEANING = (
    "Highest ε that the training may have spent (`training.privacy`); one without differential privacy does not pass."
)


def check(limit: float, candidate: Candidate) -> list[Check]:
    """Check the ε that the model's `config.json` has."""
    spent = candidate.config.get("privacy")
    if spent is None:
        return [Check("ceiling.epsilon", False, None, limit, "epsilon is not bounded: there is no training.privacy")]
    return [at_most("epsilon", spent["epsilon"], limit)]
