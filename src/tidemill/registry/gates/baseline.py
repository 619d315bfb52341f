"""Not worse than the best baseline: a simpler way to the same predictions would do as well."""

from typing import Annotated

from pydantic import Field

from tidemill.core.intervals import Interval
from tidemill.registry.candidate import Candidate
from tidemill.registry.checks import Check

NAME = "not_worse_than_baseline"
Limit = Annotated[float, Field(ge=0)]
DEFAULT = 0.0
MEANING = """How much worse than its best baseline, by the main metric, still counts as not worse; null does not compare
them. A model is worse if the whole confidence interval of the difference is."""


def check(limit: float, candidate: Candidate) -> list[Check]:
    """Check that the model is not worse than the baseline with the best main metric, both on the same test rows."""
    found, metric = candidate.evaluation, candidate.evaluation["main_metric"]
    differences: dict[str, Interval] = {
        name: found[key] for name in found["baselines"] if (key := f"difference_to_{name}") in found
    }
    if not differences:
        return [Check(NAME, True, None, None, "there is no baseline that it can be compared with")]
    best = min(differences, key=lambda name: differences[name]["value"])
    passed = differences[best]["high"] >= -limit
    sentence = _sentence(metric, found["metrics"][metric]["value"], best, differences[best])
    reason = "" if passed else f": worse by more than {limit:g}"
    return [Check(NAME, passed, differences[best]["value"], -limit, sentence + reason)]


def _sentence(metric: str, value: float, baseline: str, difference: Interval) -> str:
    far, low, high = difference["value"], difference["low"], difference["high"]
    side = "above" if far >= 0 else "below"
    far, low, high = (far, low, high) if far >= 0 else (-far, -high, -low)
    return f"{metric} is {value:.4f}, {far:.4f} [{low:.4f}, {high:.4f}] {side} {baseline}"
