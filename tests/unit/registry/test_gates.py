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


def evaluation(*accuracies: float) -> dict[str, object]:
    slices = [{"slice": f"text {n}", "rows": 30, "accuracy": {"value": value}} for n, value in enumerate(accuracies)]
    return {"main_metric": "accuracy", "slices": slices}


def test_every_slice_has_to_reach_the_limit() -> None:
    good, bad = gates.every_slice(evaluation(0.8, 0.79), 0.8)
    assert (good.passed, good.value, good.limit) == (True, 0.8, 0.8)
    assert (bad.passed, bad.sentence) == (False, "accuracy of text 1 is 0.7900, below the lowest allowed 0.8")
    assert gates.every_slice(evaluation(0.1), None) == []


def test_a_limit_for_slices_that_are_not_there_is_an_error() -> None:
    with pytest.raises(TidemillError, match="has no slice"):
        gates.every_slice(evaluation(), 0.5)


def test_what_is_slow_or_large_does_not_pass() -> None:
    slow, large = gates.quick_and_small(12.5, 3.0, Gates(latency_ms=12.0, size_mb=2.9))
    assert slow.sentence == "latency in ms, 95 of 100 rows is 12.5000, above the highest allowed 12"
    assert large.sentence == "size of the weights in MB is 3.0000, above the highest allowed 2.9"
    assert not slow.passed and not large.passed
    assert [one.passed for one in gates.quick_and_small(12.0, 2.9, Gates(latency_ms=12.0, size_mb=2.9))] == [True, True]
    assert gates.quick_and_small(12.5, 3.0, Gates()) == []


@pytest.mark.parametrize(
    ("outcomes", "success", "passed", "broken"),
    [([True, True], True, True, 0), ([True, False], False, False, 1), ([True, True], False, False, 0)],
)
def test_broken_expectations_are_counted(outcomes: list[bool], success: bool, passed: bool, broken: int) -> None:
    tables = {"train": [{"success": outcome} for outcome in outcomes], "test": [{"success": True}]}
    answer = gates.validated({"success": success, "tables": tables})
    assert (answer.passed, answer.value) == (passed, broken)
    assert answer.sentence == f"{broken} of 3 expectations of the data are broken"
