"""A genetic algorithm (NSGA-II, Deb et al., 2002)."""

from typing import Any

from optuna.samplers import BaseSampler, NSGAIISampler

from tidemill.sweeping.params import Sweep
from tidemill.sweeping.samplers.common import seed_of


def sampler(sweep: Sweep, trial: int) -> BaseSampler:
    """Return Optuna's sampler."""
    return NSGAIISampler(population_size=sweep.population, seed=seed_of(sweep, trial))


def points(sweep: Sweep) -> list[dict[str, Any]] | None:
    """Return None: each setting is chosen by the trials before it."""
    return None
