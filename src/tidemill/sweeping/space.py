"""The space of a sweep: params by their path, as Optuna's distributions and as points of a unit cube."""

import itertools
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from tidemill.core.errors import TidemillError
from tidemill.core.params import PARAMS_FILE
from tidemill.sweeping.params import Axis, Sweep

Space = dict[str, BaseDistribution]
SWEPT = ("model.", "training.")
"""Blocks in which trials may differ: what comes before the training is made once for all of them."""


def check(name: str, sweep: Sweep | None, with_values: Callable[[dict[str, Any]], object]) -> Sweep:
    """Return the sweep of a system if each end and choice of it is a valid param.

    Args:
        name: the system.
        sweep: its block.
        with_values: makes the system with other values at dotted paths, and raises where one is not valid.

    Raises:
        TidemillError: there is no such block, or a path or value in it is not valid.
    """
    if sweep is None:
        raise TidemillError(f"{PARAMS_FILE}: systems.{name}.sweep is missing: it names the params to search")
    for path, axis in sweep.space.items():
        if not path.startswith(SWEPT):
            raise TidemillError(
                f"{PARAMS_FILE}: systems.{name}.sweep.space: {path!r} is not of model or training, the blocks that trials "
                "may differ in"
            )
        for value in axis.choices or (axis.low, axis.high):
            with_values({path: value})
    return sweep


def distributions(sweep: Sweep) -> Space:
    """Return each axis as Optuna's distribution; choices as JSON, since a storage holds plain values only."""
    return {path: _distribution(axis) for path, axis in sorted(sweep.space.items())}


def values(space: Space, suggested: dict[str, Any]) -> dict[str, Any]:
    """Return the params that suggested values stand for."""
    kinds = {path: isinstance(space[path], CategoricalDistribution) for path in suggested}
    return {path: json.loads(value) if kinds[path] else value for path, value in suggested.items()}


def grid(sweep: Sweep) -> list[dict[str, Any]]:
    """Return every point of the grid, as suggested values, in an order drawn from the seed."""
    space = distributions(sweep)
    sides = [_points(axis, space[path]) for path, axis in sorted(sweep.space.items())]
    points = [dict(zip(space, point, strict=True)) for point in itertools.product(*sides)]
    return [points[number] for number in np.random.default_rng(sweep.seed).permutation(len(points))]


def to_unit(space: Space, suggested: dict[str, Any]) -> np.ndarray:
    """Return a point as numbers from 0 to 1, one for each axis: (axes,)."""
    return np.array([_to_unit(space[path], suggested[path]) for path in space])


def from_unit(space: Space, point: np.ndarray) -> dict[str, Any]:
    """Return the values nearest to a point (axes,) of the unit cube."""
    return {path: _from_unit(kind, float(place)) for (path, kind), place in zip(space.items(), point, strict=True)}


def _distribution(axis: Axis) -> BaseDistribution:
    if axis.choices is not None:
        return CategoricalDistribution([json.dumps(choice) for choice in axis.choices])
    low, high, step = axis.low, axis.high, axis.step
    if isinstance(low, int) and isinstance(high, int) and (step is None or isinstance(step, int)):
        return IntDistribution(low, high, axis.log, 1 if step is None else step)
    assert low is not None and high is not None
    return FloatDistribution(low, high, axis.log, step)


def _points(axis: Axis, kind: BaseDistribution) -> list[Any]:
    if isinstance(kind, CategoricalDistribution):
        return list(kind.choices)
    assert isinstance(kind, IntDistribution | FloatDistribution)
    if axis.step is not None:
        count = math.floor((kind.high - kind.low) / axis.step + 1e-9) + 1
        return [kind.low + number * axis.step for number in range(count)]
    places = [_from_unit(kind, place) for place in np.linspace(0, 1, axis.points)]
    return list(dict.fromkeys(places))


def _to_unit(kind: BaseDistribution, value: Any) -> float:
    if isinstance(kind, CategoricalDistribution):
        return (kind.choices.index(value) + 0.5) / len(kind.choices)
    assert isinstance(kind, IntDistribution | FloatDistribution)
    low, high, value = (math.log(number) if kind.log else number for number in (kind.low, kind.high, value))
    return float((value - low) / (high - low)) if high > low else 0.5


def _from_unit(kind: BaseDistribution, place: float) -> Any:
    if isinstance(kind, CategoricalDistribution):
        return kind.choices[min(int(place * len(kind.choices)), len(kind.choices) - 1)]
    assert isinstance(kind, IntDistribution | FloatDistribution)
    low, high = (math.log(number) if kind.log else number for number in (kind.low, kind.high))
    value = low + place * (high - low)
    value = math.exp(value) if kind.log else value
    if kind.step is not None:
        value = kind.low + round((value - kind.low) / kind.step) * kind.step
    value = min(max(value, kind.low), kind.high)
    return round(value) if isinstance(kind, IntDistribution) else value
