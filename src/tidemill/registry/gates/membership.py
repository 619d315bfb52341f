"""How much an attack may learn of who was among the training rows."""

from typing import Any

from tidemill.core.errors import TidemillError
from tidemill.core.intervals import Interval
from tidemill.core.params import nearest
from tidemill.registry.candidate import Candidate
from tidemill.registry.checks import Check

Limit = dict[str, float]
DEFAULT = None
MEANING = """Highest that any attack on the training rows may reach, by `membership` of `evaluation.json`: `auc`, `tpr_at_0.01` or
`tpr_at_0.001`, e.g. `{auc: 0.6, tpr_at_0.01: 0.05}`. The whole confidence interval must lie below it."""


def check(limit: Limit, candidate: Candidate) -> list[Check]:
    """Check the most successful attack against each limit.

    Raises:
        TidemillError: it was not measured, or no attack measures what a limit names.
    """
    measured = candidate.evaluation.get("membership")
    if not measured:
        raise TidemillError("gates.membership: evaluation.json has no membership: set evaluate.membership to {}")
    return [_at_most(name, _strongest(measured, name), highest) for name, highest in limit.items()]


def _strongest(measured: dict[str, Any], name: str) -> Interval:
    """Return what the attack found that reaches the highest."""
    attacks = [found for found in measured.values() if isinstance(found, dict) and "auc" in found]
    if name not in attacks[0]:
        raise TidemillError(f"gates.membership: no attack measures {name!r}{nearest(name, attacks[0])}")
    strongest: Interval = max((found[name] for found in attacks), key=lambda interval: interval["high"])
    return strongest


def _at_most(name: str, found: Interval, highest: float) -> Check:
    passed = found["high"] <= highest
    sentence = (
        f"{name} of an attack on the training rows is {found['value']:.4f} [{found['low']:.4f}, {found['high']:.4f}]: "
        f"{'at most' if passed else 'may be above'} {highest:g}"
    )
    return Check(f"membership.{name}", passed, found["value"], highest, sentence)
