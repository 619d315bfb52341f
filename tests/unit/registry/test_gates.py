"""Each gate is checked in numbers."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from tidemill.core.errors import TidemillError
from tidemill.registry import checks, comparing
from tidemill.registry.candidate import Candidate
from tidemill.registry.checks import Check
from tidemill.registry.params import Gates, gates, with_limits

METRICS = {
    "accuracy": {"value": 0.975, "low": 0.97, "high": 0.98},
    "calibration_error": {"value": 0.05, "low": 0.04, "high": 0.06},
}


def checked(evaluation: dict[str, Any] | None = None, p95: float = 0.0, mb: float = 0.0, **limits: Any) -> list[Check]:
    """What each gate finds of a candidate with these results, under the limits of a `gates` block."""
    results = {"metrics": METRICS, "probes": [], "slices": [], "main_metric": "accuracy"} | (evaluation or {})
    params = {"task": "text_classification"}
    candidate: Any = SimpleNamespace(params=params, evaluation=results, latency={"p95_ms": p95}, megabytes=mb)
    block = with_limits(Gates.model_validate({"baseline": None} | limits), "systems.it")
    return [check for name, limit in block.limits.items() for check in gates()[name].check(limit, candidate)]


def test_a_value_on_the_limit_passes() -> None:
    found = checked(thresholds={"accuracy": 0.975}, ceilings={"calibration_error": 0.05})
    assert [check.passed for check in found] == [True, True]


def test_a_threshold_of_an_error_is_the_highest_allowed() -> None:
    passed, failed = checked(thresholds={"calibration_error": 0.05}), checked(thresholds={"calibration_error": 0.04})
    assert [check.passed for check in passed + failed] == [True, False]
    assert failed[0].sentence == "calibration_error is 0.0500, above the highest allowed 0.04"


@pytest.mark.parametrize(
    ("low", "high", "margin", "passed"),
    [(-0.02, -0.01, 0.0, True), (-0.02, 0.0, 0.0, True), (-0.02, 0.01, 0.0, False), (-0.02, 0.01, 0.01, True)],
)
def test_an_error_may_not_rise_beside_the_champion(low: float, high: float, margin: float, passed: bool) -> None:
    difference = {"value": (low + high) / 2, "low": low, "high": high}
    check = checks.not_worse("mae", difference, -1, Gates(margin=margin), "7")
    assert check.passed == passed and check.limit == margin


def test_a_missed_limit_says_value_and_limit() -> None:
    below, above = checked(thresholds={"accuracy": 0.98}, ceilings={"calibration_error": 0.01})
    assert (below.passed, below.value, below.limit) == (False, 0.975, 0.98)
    assert below.sentence == "accuracy is 0.9750, below the lowest allowed 0.98"
    assert above.sentence == "calibration_error is 0.0500, above the highest allowed 0.01"


ATTACKED = {
    "membership": {
        "rows": {"train": 100, "test": 100},
        "gap": {"value": 0.1, "low": 0.0, "high": 0.2},
        "loss_threshold": {"auc": {"value": 0.55, "low": 0.5, "high": 0.6}},
        "likelihood_ratio": {"auc": {"value": 0.58, "low": 0.53, "high": 0.63}},
    }
}


@pytest.mark.parametrize(("limit", "passed"), [(0.63, True), (0.62, False)])
def test_the_whole_interval_of_the_strongest_attack_must_lie_below_its_limit(limit: float, passed: bool) -> None:
    (found,) = checked(ATTACKED, membership={"auc": limit})
    assert (found.name, found.passed, found.value, found.limit) == ("membership.auc", passed, 0.58, limit)
    assert "0.5800 [0.5300, 0.6300]" in found.sentence


def test_an_attack_that_was_not_measured_is_named() -> None:
    with pytest.raises(TidemillError, match=r"no attack measures 'acu'; did you mean 'auc'"):
        checked(ATTACKED, membership={"acu": 0.6})
    for evaluation in ({}, {"membership": None}):
        with pytest.raises(TidemillError, match=r"evaluation\.json has no membership: set evaluate\.membership"):
            checked(evaluation, membership={"auc": 0.6})


RECITED = {"recitation": {"texts": 50, "least": 50, "verbatim": {"value": 0.02, "low": 0.01, "high": 0.05}}}


@pytest.mark.parametrize(("limit", "passed"), [(0.05, True), (0.04, False)])
def test_the_whole_interval_of_what_is_recited_must_lie_below_its_limit(limit: float, passed: bool) -> None:
    (found,) = checked(RECITED, recitation={"verbatim": limit})
    assert (found.name, found.passed, found.value, found.limit) == ("recitation.verbatim", passed, 0.02, limit)
    assert "0.0200 [0.0100, 0.0500]" in found.sentence


def test_recitation_that_was_not_measured_is_named() -> None:
    with pytest.raises(TidemillError, match=r"nothing measures 'verbatm'; did you mean 'verbatim'"):
        checked(RECITED, recitation={"verbatm": 0.1})
    with pytest.raises(TidemillError, match=r"evaluation\.json has no recitation: set evaluate\.recitation"):
        checked({"recitation": None}, recitation={"verbatim": 0.1})


def test_a_misspelt_metric_names_the_nearest() -> None:
    with pytest.raises(TidemillError, match=r"no metric 'acuracy' in evaluation\.json; did you mean 'accuracy'"):
        checked(thresholds={"acuracy": 0.5})


@pytest.mark.parametrize(
    ("low", "margin", "passed"),
    [(0.0, 0.0, True), (-0.001, 0.0, False), (-0.001, 0.001, True), (-0.0011, 0.001, False), (0.01, 0.0, True)],
)
def test_not_worse_asks_for_the_whole_interval(low: float, margin: float, passed: bool) -> None:
    difference = {"value": 0.02, "low": low, "high": 0.04}
    check = checks.not_worse("accuracy", difference, 1, Gates(margin=margin), "7")
    assert check.passed is passed
    assert "version 7" in check.sentence
    assert f"{low:+.4f}" in check.sentence


@pytest.mark.parametrize(
    ("ids", "passed", "sentence"),
    [
        (["a", "b", "c", "d"], True, "accuracy differs by +0.2500"),
        (["a", "b", "c"], False, "the champion cannot be compared with: 1 of 4 test rows have no prediction of its"),
    ],
    ids=["every row", "a row less"],
)
def test_a_champion_that_cannot_be_compared_with_stops_the_candidate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ids: list[str], passed: bool, sentence: str
) -> None:
    spec = {"labels": ["x", "y"]}
    ours = pd.DataFrame({"id": ["a", "b", "c", "d"], "label": ["x", "y", "x", "y"], "confidence": 1.0})
    ours = ours.assign(prediction=ours["label"], probabilities=[[1.0, 0.0], [0.0, 1.0]] * 2)
    theirs = ours.assign(prediction=["y", "y", "x", "y"])[ours["id"].isin(ids)]
    (tmp_path / "evaluate").mkdir()
    ours.to_parquet(tmp_path / "evaluate" / "predictions.parquet")
    monkeypatch.setattr(comparing, "_predictions", lambda *_: (theirs, spec))
    candidate = Candidate("it", {"task": "text_classification", "gates": {"margin": 1.0}}, tmp_path)
    candidate.__dict__["config"] = {"spec": spec}
    bootstrap = {"resamples": 100, "confidence": 0.95, "seed": 0}
    candidate.__dict__["evaluation"] = {"main_metric": "accuracy", "bootstrap": bootstrap}
    version: Any = SimpleNamespace(version="1")
    check = comparing.compare(version, candidate)
    assert check.passed is passed
    assert check.sentence.startswith(sentence)
    assert comparing.compare(None, candidate).passed


def evaluation(*accuracies: float) -> dict[str, Any]:
    slices = [{"slice": f"text {n}", "rows": 30, "accuracy": {"value": value}} for n, value in enumerate(accuracies)]
    return {"main_metric": "accuracy", "slices": slices}


def test_every_slice_has_to_reach_the_limit() -> None:
    good, bad = checked(evaluation(0.8, 0.79), slices=0.8)
    assert (good.passed, good.value, good.limit) == (True, 0.8, 0.8)
    assert (bad.passed, bad.sentence) == (False, "accuracy of text 1 is 0.7900, below the lowest allowed 0.8")
    assert checked(evaluation(0.1), slices=None) == checked(evaluation(0.1)) == []


def test_a_limit_for_slices_that_are_not_there_is_an_error() -> None:
    with pytest.raises(TidemillError, match="has no slice"):
        checked(evaluation(), slices=0.5)


def beside(**differences: tuple[float, float, float]) -> dict[str, Any]:
    """Results with these differences of the accuracy to baselines: value, low and high."""
    baselines = {name: {"accuracy": {"value": 0.975 - value}} for name, (value, _, _) in differences.items()}
    named = {
        f"difference_to_{name}": dict(zip(("value", "low", "high"), found, strict=True))
        for name, found in differences.items()
    }
    return {"baselines": baselines, **named}


def test_the_best_baseline_is_compared_with_by_default() -> None:
    found = beside(majority=(0.4, 0.38, 0.42), linear=(0.0121, 0.008, 0.0162))
    assert Gates().limits == {"baseline": 0.0}
    [check] = checked(found, baseline=0.0)
    assert (check.name, check.passed, check.value, check.limit) == ("not_worse_than_baseline", True, 0.0121, 0.0)
    assert check.sentence == "accuracy is 0.9750, 0.0121 [0.0080, 0.0162] above linear"
    assert checked(found, baseline=None) == []


def test_a_model_fails_if_the_whole_interval_is_below_the_margin() -> None:
    worse = beside(majority=(0.2, 0.18, 0.22), linear=(-0.07, -0.09, -0.05))
    [check] = checked(worse, baseline=0.01)
    assert not check.passed
    assert check.sentence == "accuracy is 0.9750, 0.0700 [0.0500, 0.0900] below linear: worse by more than 0.01"
    assert [checked(worse, baseline=margin)[0].passed for margin in (0.0, 0.049, 0.05, 0.1)] == [
        False,
        False,
        True,
        True,
    ]
    [level] = checked(beside(linear=(-0.01, -0.03, 0.01)), baseline=0.0)
    assert level.passed and level.sentence == "accuracy is 0.9750, 0.0100 [-0.0100, 0.0300] below linear"


def test_without_a_comparable_baseline_there_is_nothing_to_fail() -> None:
    incomparable = {"baselines": {"guess": {"log_loss": {"value": 1.0}}}}
    for results in ({"baselines": {}}, incomparable):
        [check] = checked(results, baseline=0.0)
        assert check.passed and check.value is None
        assert check.sentence == "there is no baseline that it can be compared with"


def test_a_negative_margin_is_refused() -> None:
    with pytest.raises(TidemillError, match=r"systems\.it\.gates\.baseline: .*greater than or equal to 0"):
        checked(baseline=-0.1)


def test_what_is_slow_or_large_does_not_pass() -> None:
    slow, large = checked(p95=12.5, mb=3.0, latency_ms=12.0, size_mb=2.9)
    assert slow.sentence == "latency in ms, 95 of 100 rows is 12.5000, above the highest allowed 12"
    assert large.sentence == "size of the weights in MB is 3.0000, above the highest allowed 2.9"
    assert not slow.passed and not large.passed
    assert [one.passed for one in checked(p95=12.0, mb=2.9, latency_ms=12.0, size_mb=2.9)] == [True, True]
    assert checked(p95=12.5, mb=3.0) == []


def test_a_gate_that_is_not_there_and_a_limit_of_a_wrong_type_are_named() -> None:
    with pytest.raises(TidemillError, match=r"systems\.it\.gates: no 'treshold'.*did you mean 'thresholds'"):
        checked(treshold={"accuracy": 0.5})
    with pytest.raises(TidemillError, match=r"systems\.it\.gates\.latency_ms: .*greater than 0"):
        checked(latency_ms=0.0)


@pytest.mark.parametrize(
    ("outcomes", "success", "passed", "broken"),
    [([True, True], True, True, 0), ([True, False], False, False, 1), ([True, True], False, False, 0)],
)
def test_broken_expectations_are_counted(outcomes: list[bool], success: bool, passed: bool, broken: int) -> None:
    tables = {"train": [{"success": outcome} for outcome in outcomes], "test": [{"success": True}]}
    check = checks.validated({"success": success, "tables": tables})
    assert (check.passed, check.value) == (passed, broken)
    assert check.sentence == f"{broken} of 3 expectations of the data are broken"


def test_a_gate_may_name_metrics_and_probes() -> None:
    probes = [
        {"name": "White space", "passed": {"value": 0.9, "low": 0.8, "high": 0.95}},
        {"name": "a negation", "passed": None},
    ]
    found = checks.measurements({"metrics": METRICS, "probes": probes})
    assert set(found) == {"accuracy", "calibration_error", "probe.white_space"}
    assert found["probe.white_space"]["value"] == 0.9
