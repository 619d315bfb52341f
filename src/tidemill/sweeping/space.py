"""The space of a sweep: params by their path, as Optuna's distributions and as points of a unit cube."""

import itertools
import json
import math
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from tidemill.config import Axis, Sweep, System, with_values
from tidemill.errors import TidemillError

Space = dict[str, BaseDistribution]
SWEPT = ("model.", "training.")
"""Blocks of which trials may differ: what stands before the training is made once for all of them."""


def check(name: str, system: System) -> Sweep:
    """The system's sweep, each end and choice of which is a valid param.

    Raises:
        TidemillError: there is no such block, or a path or value in it is not valid.
    """
    if system.sweep is None:
        raise TidemillError(f"params.yaml: systems.{name}.sweep is missing: it says which params to look at")
    for path, axis in system.sweep.space.items():
        if not path.startswith(SWEPT):
            raise TidemillError(
                f"params.yaml: systems.{name}.sweep.space: {path!r} is not of model or training, the blocks that trials "
                "may differ in"
            )
        for value in axis.choices or (axis.low, axis.high):
            with_values(name, system, {path: value})
    return system.sweep


def distributions(sweep: Sweep) -> Space:
    """Each axis as Optuna knows it; choices as JSON, since a storage holds plain values only."""
    return {path: _distribution(axis) for path, axis in sorted(sweep.space.items())}


def values(space: Space, suggested: dict[str, Any]) -> dict[str, Any]:
    """The params that suggested values stand for."""
    kinds = {path: isinstance(space[path], CategoricalDistribution) for path in suggested}
    return {path: json.loads(value) if kinds[path] else value for path, value in suggested.items()}


def grid(sweep: Sweep) -> list[dict[str, Any]]:
    """Every point of the grid, as suggested values, in an order drawn from the seed."""
    space = distributions(sweep)
    sides = [_points(axis, space[path]) for path, axis in sorted(sweep.space.items())]
    points = [dict(zip(space, point, strict=True)) for point in itertools.product(*sides)]
    return [points[number] for number in np.random.default_rng(sweep.seed).permutation(len(points))]


def to_unit(space: Space, suggested: dict[str, Any]) -> np.ndarray:
    """A point as numbers from 0 to 1, one an axis."""
    return np.array([_to_unit(space[path], suggested[path]) for path in space])


def from_unit(space: Space, point: np.ndarray) -> dict[str, Any]:
    """The values nearest to a point of the unit cube."""
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
