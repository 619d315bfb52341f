"""Settings drawn at random."""

from typing import Any

from optuna.samplers import BaseSampler, RandomSampler

from tidemill.sweeping.params import Sweep
from tidemill.sweeping.samplers.common import seed_of


def sampler(sweep: Sweep, trial: int) -> BaseSampler:
    """Return Optuna's sampler."""
    return RandomSampler(seed=seed_of(sweep, trial))


def points(sweep: Sweep) -> list[dict[str, Any]] | None:
    """Return None: each setting is drawn when its trial starts."""
    return None
