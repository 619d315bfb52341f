"""Covariance matrix adaptation (Hansen, 2016), for params that are numbers."""

from typing import Any

from optuna.samplers import BaseSampler, CmaEsSampler

from tidemill.sweeping.params import Sweep
from tidemill.sweeping.samplers.common import seed_of


def sampler(sweep: Sweep, trial: int) -> BaseSampler:
    """Return Optuna's sampler."""
    return CmaEsSampler(seed=seed_of(sweep, trial), warn_independent_sampling=False)


def points(sweep: Sweep) -> list[dict[str, Any]] | None:
    """Return None: each setting is chosen by the trials before it."""
    return None
