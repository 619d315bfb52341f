"""Particle swarm optimisation, which Optuna lacks."""

from typing import Any

import numpy as np
from optuna.samplers import BaseSampler

from tidemill.sweeping.params import Sweep
from tidemill.sweeping.samplers.common import Ended, WholeSpaceSampler
from tidemill.sweeping.space import Space, distributions

INERTIA, PULL = 0.7298, 1.49618
"""Clerc and Kennedy (2002): with these a swarm converges, whatever the space."""


class ParticleSwarm(WholeSpaceSampler):
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


def sampler(sweep: Sweep, trial: int) -> BaseSampler:
    """Return the sampler."""
    return ParticleSwarm(distributions(sweep), sweep.seed, sweep.population)


def points(sweep: Sweep) -> list[dict[str, Any]] | None:
    """Return None: each setting is chosen by the trials before it."""
    return None
