"""The worst allowed value on every slice of the test rows."""

from tidemill.core.errors import TidemillError
from tidemill.registry.candidate import Candidate
from tidemill.registry.checks import Check, within

Limit = float
DEFAULT = None
MEANING = "Worst allowed value of the main metric on every slice of `evaluation.json`, e.g. on the longest texts."


def check(limit: Limit, candidate: Candidate) -> list[Check]:
    """Check the main metric on each slice.

    Raises:
        TidemillError: no slice was measured.
    """
    metric, slices = candidate.evaluation["main_metric"], candidate.evaluation["slices"]
    if not slices:
        raise TidemillError(
            "gates: slices has a limit and evaluation.json has no slice: remove the limit, or add test rows"
        )
    task = candidate.params["task"]
    return [within(f"{metric} of {found['slice']}", found[metric]["value"], limit, task, metric) for found in slices]
