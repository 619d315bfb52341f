"""Tree-structured Parzen estimator (Bergstra et al., 2011): models where good settings lie."""

from typing import Any

from optuna.samplers import BaseSampler, TPESampler

from tidemill.sweeping.params import Sweep
from tidemill.sweeping.samplers.common import seed_of


def sampler(sweep: Sweep, trial: int) -> BaseSampler:
    """Return Optuna's sampler."""
    return TPESampler(seed=seed_of(sweep, trial))


def points(sweep: Sweep) -> list[dict[str, Any]] | None:
    """Return None: each setting is chosen by the trials before it."""
    return None
