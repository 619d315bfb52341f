"""Tree-structured Parzen estimator (Bergstra et al., 2011): models where good settings lie."""

from typing import Any

from optuna.samplers import BaseSampler, TPESampler

from tidemill.sweeping.params import Sweep


def sampler(sweep: Sweep) -> BaseSampler:
    """Return Optuna's sampler."""
    return TPESampler(seed=sweep.seed)


def points(sweep: Sweep) -> list[dict[str, Any]] | None:
    """Return None: each setting is chosen by the trials before it."""
    return None
