"""Settings drawn at random."""

from typing import Any

from optuna.samplers import BaseSampler, RandomSampler

from tidemill.sweeping.params import Sweep


def sampler(sweep: Sweep) -> BaseSampler:
    """Return Optuna's sampler."""
    return RandomSampler(seed=sweep.seed)


def points(sweep: Sweep) -> list[dict[str, Any]] | None:
    """Return None: each setting is drawn when its trial starts."""
    return None
