"""Each gate answers in numbers."""

import pytest

from tidemill.config import Gates
from tidemill.errors import TidemillError
from tidemill.registry import gates

METRICS = {
    "accuracy": {"value": 0.975, "low": 0.97, "high": 0.98},
    "calibration_error": {"value": 0.05, "low": 0.04, "high": 0.06},
}


def test_a_value_on_the_limit_passes() -> None:
    limits = Gates(thresholds={"accuracy": 0.975}, ceilings={"calibration_error": 0.05})
    assert [answer.passed for answer in gates.within_limits(METRICS, limits)] == [True, True]


def test_a_missed_limit_says_value_and_limit() -> None:
    limits = Gates(thresholds={"accuracy": 0.98}, ceilings={"calibration_error": 0.01})
    below, above = gates.within_limits(METRICS, limits)
    assert (below.passed, below.value, below.limit) == (False, 0.975, 0.98)
    assert below.sentence == "accuracy is 0.9750, below the lowest allowed 0.98"
    assert above.sentence == "calibration_error is 0.0500, above the highest allowed 0.01"


def test_a_misspelt_metric_names_the_nearest() -> None:
    with pytest.raises(TidemillError, match=r"no metric 'acuracy' in evaluation\.json; did you mean 'accuracy'"):
        gates.within_limits(METRICS, Gates(thresholds={"acuracy": 0.5}))


@pytest.mark.parametrize(
    ("low", "margin", "passed"),
    [(0.0, 0.0, True), (-0.001, 0.0, False), (-0.001, 0.001, True), (-0.0011, 0.001, False), (0.01, 0.0, True)],
)
def test_not_worse_asks_for_the_whole_interval(low: float, margin: float, passed: bool) -> None:
    difference = {"value": 0.02, "low": low, "high": 0.04}
    answer = gates.not_worse("accuracy", difference, Gates(margin=margin), "7")
    assert answer.passed is passed
    assert "version 7" in answer.sentence
    assert f"{low:+.4f}" in answer.sentence


def test_what_cannot_be_compared_does_not_pass() -> None:
    assert gates.no_champion().passed
    assert not gates.not_comparable("it has other labels").passed
