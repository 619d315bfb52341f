"""Simulated annealing, which Optuna lacks."""

import math
from typing import Any

import numpy as np
from optuna.distributions import CategoricalDistribution
from optuna.samplers import BaseSampler

from tidemill.sweeping.params import Sweep
from tidemill.sweeping.samplers.common import Ended, WholeSpaceSampler
from tidemill.sweeping.space import distributions

COOLING = 0.9
"""Factor of the temperature from trial to trial (Kirkpatrick et al., 1983: a geometric schedule)."""
STRIDE = 0.3
"""Standard deviation of an annealing step at the start, as a share of an axis."""


class Annealing(WholeSpaceSampler):
    """Kirkpatrick, Gelatt and Vecchi (1983): steps get shorter, and worse points are accepted less and less often."""

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
        """Return where the walk is after all trials: each was accepted or rejected by its own draw."""
        costs = [trial.cost for trial in ended]
        spread = max(max(costs) - min(costs), 1e-12)
        standing = ended[0]
        for step, trial in enumerate(ended[1:], 1):
            chance = math.exp(min(0.0, (standing.cost - trial.cost) / (spread * COOLING**step)))
            if np.random.default_rng([self.seed, trial.number, 1]).random() < chance:
                standing = trial
        return standing.place


def sampler(sweep: Sweep, trial: int) -> BaseSampler:
    """Return the sampler."""
    return Annealing(distributions(sweep), sweep.seed)


def points(sweep: Sweep) -> list[dict[str, Any]] | None:
    """Return None: each setting is chosen by the trials before it."""
    return None
