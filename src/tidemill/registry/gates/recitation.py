"""How much a generator may recite of its training texts."""

from typing import Annotated

from pydantic import Field

from tidemill.core.errors import TidemillError
from tidemill.core.params import nearest
from tidemill.registry.candidate import Candidate
from tidemill.registry.checks import Check

Limit = dict[str, Annotated[float, Field(ge=0, le=1)]]
DEFAULT = None
MEANING = """Highest that may be recited of the training texts, by `recitation` of `evaluation.json`: `verbatim` or `near_copies`,
e.g. `{verbatim: 0.05}`. The whole confidence interval must lie below it."""
MEASURED = ("verbatim", "near_copies")


def check(limit: dict[str, float], candidate: Candidate) -> list[Check]:
    """Check each share that a limit names.

    Raises:
        TidemillError: it was not measured, or there is no such share.
    """
    measured = candidate.evaluation.get("recitation")
    if not measured:
        raise TidemillError("gates.recitation: evaluation.json has no recitation: set evaluate.recitation to {}")
    if unknown := next((name for name in limit if name not in MEASURED), None):
        raise TidemillError(f"gates.recitation: nothing measures {unknown!r}{nearest(unknown, MEASURED)}")
    return [_at_most(name, measured[name], highest) for name, highest in limit.items()]


def _at_most(name: str, found: dict[str, float], highest: float) -> Check:
    passed = found["high"] <= highest
    sentence = (
        f"{name.replace('_', ' ')} of training texts in what is generated: {found['value']:.4f} "
        f"[{found['low']:.4f}, {found['high']:.4f}]: {'at most' if passed else 'may be above'} {highest:g}"
    )
    return Check(f"recitation.{name}", passed, found["value"], highest, sentence)
