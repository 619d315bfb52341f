"""The worst allowed values of metrics and probes."""

from tidemill.registry.candidate import Candidate
from tidemill.registry.checks import Check, measurements, value_of, within

Limit = dict[str, float]
DEFAULT = None
MEANING = """Worst allowed value of a metric of `evaluation.json`: the lowest, e.g. `{accuracy: 0.98}`, or the highest of one
whose smaller values are better, e.g. `{mae: 12}`; or the lowest allowed share of rows that
passed a probe, e.g. `{probe.white_space: 0.95}`."""


def check(limit: Limit, candidate: Candidate) -> list[Check]:
    """Check each metric against its worst allowed value.

    Raises:
        TidemillError: there is no such metric.
    """
    measured = measurements(candidate.evaluation)
    task = candidate.params["task"]
    return [within(name, value_of(measured, name), worst, task, name) for name, worst in limit.items()]
