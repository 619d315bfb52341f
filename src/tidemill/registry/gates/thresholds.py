"""Lowest allowed values of metrics and probes."""

from tidemill.registry.candidate import Candidate
from tidemill.registry.checks import Check, at_least, measurements, value_of

Limit = dict[str, float]
DEFAULT = None
MEANING = """Lowest allowed value of a metric of `evaluation.json`, e.g. `{accuracy: 0.98}`, or of the share of rows that
passed a probe, e.g. `{probe.white_space: 0.95}`."""


def check(limit: Limit, candidate: Candidate) -> list[Check]:
    """Check each metric against its lowest allowed value.

    Raises:
        TidemillError: there is no such metric.
    """
    measured = measurements(candidate.evaluation)
    return [at_least(name, value_of(measured, name), lowest) for name, lowest in limit.items()]
