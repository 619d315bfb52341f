"""Confidence intervals by the bootstrap: the test rows drawn anew, with replacement, and measured again each time.

Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13 (the percentile interval).
"""

import math
from collections.abc import Callable, Iterator
from statistics import NormalDist
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tidemill.core.params import Params

Metrics = Callable[[NDArray[np.int64]], dict[str, float]]
"""Metrics by name, each row counted `weights[row]` times (0 leaves it out)."""
Interval = dict[str, float]
"""`value` as measured, and `low` and `high` that hold the true value with the confidence asked for."""

DECIMALS = 6
"""Digits kept: beyond them an interval says nothing, and a result is the same on any machine."""


class Bootstrap(Params):
    """How confidence intervals are drawn."""

    resamples: Annotated[int, Field(ge=100)] = 1000
    """Bootstrap resamples behind each confidence interval."""
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """Level of the confidence intervals."""
    seed: int = 0
    """Of the resampling, and of the rows that probes change."""


def intervals(metrics: Metrics, rows: int, bootstrap: Bootstrap) -> dict[str, Interval]:
    """Each metric with its percentile interval; a metric that is not defined for the rows is left out.

    Drawing rows twice makes some metrics worse by itself (a calibration error, a lowest recall): where that moves
    the whole interval past the measured value, it is widened to reach it.
    """
    values = {name: value for name, value in metrics(np.ones(rows, dtype=np.int64)).items() if not np.isnan(value)}
    drawn = [metrics(weights) for weights in resamples(rows, bootstrap.resamples, bootstrap.seed)]
    table = np.array([[draw[name] for name in values] for draw in drawn])
    outside = (1 - bootstrap.confidence) / 2
    lows, highs = np.nanquantile(table, [outside, 1 - outside], axis=0)
    return {
        name: _interval(value, float(low), float(high))
        for (name, value), low, high in zip(values.items(), lows, highs, strict=True)
    }


def paired_difference(ours: Metrics, theirs: Metrics, metric: str, rows: int, bootstrap: Bootstrap) -> Interval:
    """How much higher a metric is in `ours` than in `theirs`, both measured on the same rows in the same order.

    Both see the same draws, so what is hard for both cancels out and the interval is narrower than two apart.
    """

    def difference(weights: NDArray[np.int64]) -> dict[str, float]:
        return {metric: ours(weights)[metric] - theirs(weights)[metric]}

    return intervals(difference, rows, bootstrap)[metric]


def resamples(rows: int, count: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """How often each row was drawn, for `count` draws of `rows` rows with replacement."""
    generator = np.random.default_rng(seed)
    for _ in range(count):
        yield np.bincount(generator.integers(rows, size=rows), minlength=rows)


def share(hits: int, rows: int, confidence: float) -> Interval:
    """A share of rows, with the interval of Wilson (1927), which is no point where all rows are alike."""
    quantile = NormalDist().inv_cdf((1 + confidence) / 2)
    value, spread = hits / rows, quantile**2 / rows
    centre = (value + spread / 2) / (1 + spread)
    reach = quantile * math.sqrt(value * (1 - value) / rows + spread / (4 * rows)) / (1 + spread)
    return _interval(value, max(0.0, centre - reach), min(1.0, centre + reach))


def _interval(value: float, low: float, high: float) -> Interval:
    limits = {"value": value, "low": min(low, value), "high": max(high, value)}
    return {name: round(number, DECIMALS) for name, number in limits.items()}
