"""Bagging: several trainings of one model, on other rows or from other seeds, that become one ensemble."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from tidemill.core.errors import TidemillError
from tidemill.core.spec import Spec
from tidemill.models.common.ensemble import Ensemble
from tidemill.models.common.exported import Exported
from tidemill.tokens.shards import MemoryShards, Ragged, Shards
from tidemill.tracking.points import Point
from tidemill.training.outcome import Outcome
from tidemill.training.params import Training

Rows = Shards | MemoryShards
Train = Callable[[int, Training], Outcome]
"""Takes the number of a member, from 1, and its params; trains it."""


def bagged(params: Training, several: bool, train: Train) -> Outcome:
    """Train the members one after another, and return them as one network, whose logits are of their mean probabilities.

    Each member has a seed of its own, the next one. Its curves are named after it; those of the first are the ensemble's.

    Args:
        several: whether a row may have several labels.

    Raises:
        TidemillError: the network is one that another library loads, which knows of no ensemble.
    """
    assert params.bagging is not None
    outcomes = []
    for number in range(1, params.bagging.members + 1):
        print(f"member {number} of {params.bagging.members}", flush=True)
        outcomes.append(train(number, params.model_copy(update={"seed": params.seed + number - 1})))
        if isinstance(outcomes[0].network, Exported):
            raise TidemillError("training.bagging: this model is kept as another library loads it: leave bagging out")
    points = [point for number, outcome in enumerate(outcomes, 1) for point in named(outcome.points, number)]
    network = Ensemble([outcome.network for outcome in outcomes], several).eval()
    added: Spec = {"members": len(outcomes), "several": several}
    return replace(outcomes[0], network=network, points=points, added=added)


def named(points: Sequence[Point], number: int) -> Iterator[Point]:
    """Yield the points of a member under names of its own."""
    for point in points:
        yield point if number == 1 else point._replace(name=f"member_{number}/{point.name}")


def resampled(rows: Rows, seed: int) -> MemoryShards:
    """Return as many rows, drawn with replacement: a bootstrap sample. It stands in memory."""
    chosen = np.random.default_rng(seed).integers(len(rows), size=len(rows))
    return MemoryShards(
        {
            name: [column[int(row)] for row in chosen] if isinstance(column, Ragged) else column[chosen]
            for name, column in rows.columns.items()
        }
    )
