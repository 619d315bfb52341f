"""Intervals hold the truth as often as they say, and are the same each time."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tidemill.core.intervals import Bootstrap, Metrics, intervals, paired_difference, resamples

PARAMS = Bootstrap(resamples=200)


def mean(values: NDArray[np.float64]) -> Metrics:
    return lambda weights: {"mean": float(weights @ values / weights.sum())}


def test_an_interval_covers_the_true_value_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(400):
        right = (rng.random(150) < 0.8).astype(float)
        found = intervals(mean(right), len(right), PARAMS)["mean"]
        covered += found["low"] <= 0.8 <= found["high"]
    assert 0.91 <= covered / 400 <= 0.98


def test_a_difference_covers_the_true_difference_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(300):
        hardness = rng.normal(size=150)
        ours, theirs = hardness + 0.1 + rng.normal(size=150), hardness + rng.normal(size=150)
        found = paired_difference(mean(ours), mean(theirs), "mean", 150, PARAMS)
        covered += found["low"] <= 0.1 <= found["high"]
    assert 0.91 <= covered / 300 <= 0.98


def test_a_paired_difference_is_surer_than_two_intervals_apart() -> None:
    rng = np.random.default_rng(3)
    theirs = rng.normal(size=300)
    ours = theirs + 0.1 + rng.normal(size=300) / 10
    of_ours, of_theirs = (intervals(mean(values), 300, PARAMS)["mean"] for values in (ours, theirs))
    difference = paired_difference(mean(ours), mean(theirs), "mean", 300, PARAMS)
    assert of_ours["low"] < of_theirs["high"], "apart, the two cannot be told from each other"
    assert difference["low"] > 0


def test_a_model_does_not_differ_from_itself() -> None:
    values = np.random.default_rng(4).random(50)
    assert paired_difference(mean(values), mean(values), "mean", 50, PARAMS) == {"value": 0, "low": 0, "high": 0}


def test_the_other_way_round_the_difference_is_its_negative() -> None:
    a, b = np.random.default_rng(5).random((2, 80))
    forth, back = (paired_difference(mean(x), mean(y), "mean", 80, PARAMS) for x, y in ((a, b), (b, a)))
    assert forth == pytest.approx({"value": -back["value"], "low": -back["high"], "high": -back["low"]}, abs=1e-5)


def test_the_seed_decides_the_interval() -> None:
    values = np.random.default_rng(6).random(50)
    first, again = (intervals(mean(values), 50, PARAMS) for _ in range(2))
    assert first == again
    assert first != intervals(mean(values), 50, PARAMS.model_copy(update={"seed": 1}))


def test_more_confidence_takes_a_wider_interval() -> None:
    values = np.random.default_rng(7).random(50)
    sure, surer = (
        intervals(mean(values), 50, Bootstrap(resamples=500, confidence=confidence))["mean"]
        for confidence in (0.8, 0.99)
    )
    assert surer["low"] < sure["low"] < sure["value"] < sure["high"] < surer["high"]


def test_an_undefined_metric_is_left_out_and_one_undefined_in_some_draws_is_not() -> None:
    def metrics(weights: NDArray[np.int64]) -> dict[str, float]:
        return {"never": float("nan"), "rarely": 1.0 if weights[0] else float("nan")}

    assert intervals(metrics, 20, PARAMS) == {"rarely": {"value": 1.0, "low": 1.0, "high": 1.0}}


def test_the_value_lies_in_its_interval_even_where_drawing_twice_biases_the_metric() -> None:
    distinct: Metrics = lambda weights: {"distinct": float((weights > 0).sum())}  # noqa: E731
    found = intervals(distinct, 100, PARAMS)["distinct"]
    assert found["high"] == found["value"] == 100
    assert found["low"] < 80


def test_a_draw_has_as_many_rows_as_the_table() -> None:
    drawn = list(resamples(30, 5, seed=0))
    assert [weights.sum() for weights in drawn] == [30] * 5
    assert len({tuple(weights) for weights in drawn}) == 5
