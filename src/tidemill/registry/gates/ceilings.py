"""Highest allowed values of metrics and probes."""

from tidemill.registry.candidate import Candidate
from tidemill.registry.checks import Check, at_most, measurements, value_of

Limit = dict[str, float]
DEFAULT = None
MEANING = "Highest allowed value of a metric, e.g. `{calibration_error: 0.1}`."


def check(limit: Limit, candidate: Candidate) -> list[Check]:
    """Check each metric against its highest allowed value.

    Raises:
        TidemillError: there is no such metric.
    """
    measured = measurements(candidate.evaluation)
    return [at_most(name, value_of(measured, name), highest) for name, highest in limit.items()]
