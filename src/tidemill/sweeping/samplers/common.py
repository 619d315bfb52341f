"""What a sampler module defines, and the base of the samplers that Optuna lacks.

These keep no state of their own: the next point follows from the trials so far, the seed and the trial's number. So
they resume after a kill, and work in many processes at once, as if there had been one.
"""

import math
from typing import Any, Protocol

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from tidemill.core import plugins
from tidemill.sweeping.params import Sweep
from tidemill.sweeping.space import Space, from_unit, to_unit


class SamplerModule(Protocol):
    """What `sweeping/samplers/<sampler>.py` defines."""

    def sampler(self, sweep: Sweep, trial: int) -> BaseSampler:
        """Return the sampler of a process whose first trial has this number.

        One that draws at random takes its seed from `seed_of`: else two processes that share a study, or one that
        resumes it, would draw the same settings again.
        """

    def points(self, sweep: Sweep) -> list[dict[str, Any]] | None:
        """Return all settings if they are known before the first trial, as suggested values; None if they are not."""


def of(name: str) -> SamplerModule:
    """Return a sampler module by its name."""
    module: SamplerModule = plugins.load("sweeping.samplers", name)
    return module


def seed_of(sweep: Sweep, trial: int) -> int:
    """Return the seed of a process: that of the sweep, or another one if it is not the first process of the study."""
    if trial == 0:
        return sweep.seed
    return int(np.random.SeedSequence([sweep.seed, trial]).generate_state(1)[0])


class WholeSpaceSampler(BaseSampler):
    """Chooses the values of all axes together."""

    def __init__(self, space: Space, seed: int) -> None:
        self.space, self.seed = space, seed

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self.space

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        generator = np.random.default_rng([self.seed, trial.number])
        return from_unit(self.space, self.point(ended_trials(study), trial.number, generator))

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        raise ValueError(f"{param_name} is not in the space of this sweep")

    def point(self, ended: "list[Ended]", number: int, generator: np.random.Generator) -> np.ndarray:
        """Return the next point of the unit cube: (axes,)."""
        raise NotImplementedError


class Ended:
    """A trial that completed: its point of the unit cube, and its cost (lower is better)."""

    def __init__(self, trial: FrozenTrial, space: Space, sign: int) -> None:
        self.number, self.place = trial.number, to_unit(space, trial.params)
        self.cost = sign * float(trial.value if trial.value is not None else math.nan)


def ended_trials(study: Study) -> list[Ended]:
    """Return the completed trials of a study in their order."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    sign = 1 if study.direction == StudyDirection.MINIMIZE else -1
    space = {path: kind for trial in trials[:1] for path, kind in sorted(trial.distributions.items())}
    return [Ended(trial, space, sign) for trial in sorted(trials, key=lambda trial: trial.number)]
