"""How the next setting is chosen. What Optuna lacks, particle swarm and simulated annealing, stands here.

Both keep no state of their own: the next point follows from the trials so far, the seed and the trial's number. So they
go on after a kill, and in many processes at once, as if there had been one.
"""

import math
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler, CmaEsSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from tidemill.config import Sweep
from tidemill.sweeping.space import Space, distributions, from_unit, to_unit

INERTIA, PULL = 0.7298, 1.49618
"""Clerc and Kennedy (2002): with these a swarm draws together, whatever the space."""
COOLING = 0.9
"""Factor of the temperature from trial to trial (Kirkpatrick et al., 1983: a geometric schedule)."""
STRIDE = 0.3
"""Standard deviation of an annealing step at the start, as a share of an axis."""


def sampler(sweep: Sweep) -> BaseSampler:
    """The sampler that a sweep names. The grid is queued whole when the study is made, and needs none."""
    match sweep.sampler:
        case "tpe":
            return TPESampler(seed=sweep.seed)
        case "genetic":
            return NSGAIISampler(population_size=sweep.population, seed=sweep.seed)
        case "cmaes":
            return CmaEsSampler(seed=sweep.seed, warn_independent_sampling=False)
        case "swarm":
            return ParticleSwarm(distributions(sweep), sweep.seed, sweep.population)
        case "annealing":
            return Annealing(distributions(sweep), sweep.seed)
    return RandomSampler(seed=sweep.seed)


class _OfTheWholeSpace(BaseSampler):
    """Chooses the values of all axes together."""

    def __init__(self, space: Space, seed: int) -> None:
        self.space, self.seed = space, seed

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self.space

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        generator = np.random.default_rng([self.seed, trial.number])
        return from_unit(self.space, self.point(_ended(study), trial.number, generator))

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        raise ValueError(f"{param_name} is not in the space of this sweep")

    def point(self, ended: "list[Ended]", number: int, generator: np.random.Generator) -> np.ndarray:
        """The next point of the unit cube."""
        raise NotImplementedError


class Ended:
    """A trial that came to its end: where it was, and its cost, of which less is better."""

    def __init__(self, trial: FrozenTrial, space: Space, sign: int) -> None:
        self.number, self.place = trial.number, to_unit(space, trial.params)
        self.cost = sign * float(trial.value if trial.value is not None else math.nan)


class ParticleSwarm(_OfTheWholeSpace):
    """Kennedy and Eberhart (1995). Trial n moves particle n modulo the swarm's size."""

    def __init__(self, space: Space, seed: int, particles: int) -> None:
        super().__init__(space, seed)
        self.particles = particles

    def point(self, ended: list[Ended], number: int, generator: np.random.Generator) -> np.ndarray:
        own = [trial for trial in ended if trial.number % self.particles == number % self.particles]
        if not own:
            return generator.random(len(self.space))
        here, before = own[-1].place, own[-2 if len(own) > 1 else -1].place
        own_best, best = (min(trials, key=lambda trial: trial.cost).place for trials in (own, ended))
        pulls = generator.random((2, len(self.space)))
        velocity = INERTIA * (here - before) + PULL * (pulls[0] * (own_best - here) + pulls[1] * (best - here))
        return np.asarray(np.clip(here + velocity, 0, 1))


class Annealing(_OfTheWholeSpace):
    """Kirkpatrick, Gelatt and Vecchi (1983): steps that shorten, and worse points taken less and less."""

    def point(self, ended: list[Ended], number: int, generator: np.random.Generator) -> np.ndarray:
        if not ended:
            return generator.random(len(self.space))
        heat = COOLING ** len(ended)
        here = self._standing(ended)
        steps = generator.normal(0, STRIDE * math.sqrt(heat), len(self.space))
        moved = 1 - np.abs(1 - np.abs(here + steps) % 2)  # reflected at the walls
        kinds = [isinstance(kind, CategoricalDistribution) for kind in self.space.values()]
        redrawn = np.where(generator.random(len(here)) < max(heat, 1 / len(here)), generator.random(len(here)), here)
        return np.where(kinds, redrawn, moved)

    def _standing(self, ended: list[Ended]) -> np.ndarray:
        """Where the walk stands after all trials: each was taken or left by its own draw."""
        costs = [trial.cost for trial in ended]
        spread = max(max(costs) - min(costs), 1e-12)
        standing = ended[0]
        for step, trial in enumerate(ended[1:], 1):
            chance = math.exp(min(0.0, (standing.cost - trial.cost) / (spread * COOLING**step)))
            if np.random.default_rng([self.seed, trial.number, 1]).random() < chance:
                standing = trial
        return standing.place


def _ended(study: Study) -> list[Ended]:
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    sign = 1 if study.direction == StudyDirection.MINIMIZE else -1
    space = {path: kind for trial in trials[:1] for path, kind in sorted(trial.distributions.items())}
    return [Ended(trial, space, sign) for trial in sorted(trials, key=lambda trial: trial.number)]
