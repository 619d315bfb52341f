"""Every point of the grid, in an order drawn from the seed."""

from typing import Any

from optuna.samplers import BaseSampler, RandomSampler

from tidemill.sweeping.params import Sweep
from tidemill.sweeping.space import grid


def sampler(sweep: Sweep, trial: int) -> BaseSampler:
    """Return a sampler that is never asked: all points are queued when the study is created."""
    return RandomSampler(seed=sweep.seed)


def points(sweep: Sweep) -> list[dict[str, Any]] | None:
    """Return all points of the grid."""
    return grid(sweep)
