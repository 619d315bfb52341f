"""What a probe is, and the changes of rows that those of several tasks are made of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pandas as pd

from tidemill.core import plugins
from tidemill.core.errors import TidemillError
from tidemill.core.spec import Spec
from tidemill.tasks.common.probes.params import Kind, ProbeParams

Rows = pd.DataFrame
Edit = Callable[[str], str]
Change = Callable[[Rows], Rows]


class Model(Protocol):
    """What a probe asks for predictions: an `inference.predictor.Predictor`."""

    spec: Spec

    def predict(self, rows: Rows, **options: Any) -> Rows:
        """Return the predictions for rows as a user gives them."""

    def predict_normalised(self, rows: Rows) -> Rows:
        """Return what is measured of rows in their normal form."""


Predict = Callable[[Model, Rows], Rows]
"""Returns a prediction a row, under the index of the rows, and in the column `shown` what a reader sees of each."""
Passed = Callable[[Rows, Rows, Rows], "pd.Series[bool]"]
"""Takes the changed rows, the predictions before the change and those after it; returns which rows passed."""


@dataclass(frozen=True)
class Probe:
    """A change of rows, and what the prediction must then do."""

    name: str
    kind: Kind
    expects: str
    """What the prediction must do, for the report."""
    change: Change
    """Returns the rows that it changes, changed, under the index they had."""
    predict: Predict
    passed: Passed


@dataclass(frozen=True)
class ProbeSet:
    """All probes of a task, and the rows they take."""

    probes: list[Probe]
    rows: int = 50
    """Rows that each probe changes at most."""
    prepared: Callable[[Rows], Rows] = field(default=lambda rows: rows)
    """Returns the test rows as the probes take them, e.g. cut short."""


class ProbesPart(Protocol):
    """What `tasks/<task>/probes.py` defines."""

    Params: type[ProbeParams]
    """Params of a probe that only the data at hand suggests: an entry of `evaluate.probes`."""

    def probes(self, spec: Spec, own: Sequence[Any]) -> ProbeSet:
        """Return the probes of the task, and those of the params.

        Args:
            own: `Params` of the further probes.

        Raises:
            TidemillError: the params name a label or column that is not there.
        """


def of(task: str) -> ProbesPart:
    """Return the probes part of a task, by the task's name."""
    part: ProbesPart = plugins.load("tasks", task, "probes")
    return part


def known_target(params: ProbeParams, names: Sequence[str]) -> str:
    """Return the name of what must rise or fall: a label, or a number that predictions have.

    Raises:
        TidemillError: predictions have nothing of that name.
    """
    name = params.raises or params.lowers or ""
    if name not in names:
        raise TidemillError(
            f"evaluate.probes: {params.name!r} is about {name!r}, which no prediction has; "
            f"there are: {', '.join(names)}"
        )
    return name


def paired(rows: Rows, fits: Callable[[Any, Any], bool]) -> list[tuple[Any, Any]]:
    """Pair each row with the next one that fits it, the first coming after the last; leave out rows that none fits.

    Args:
        fits: takes a row and another one, as `itertuples` gives them.
    """
    records = list(rows.itertuples())
    following = [records[place + 1 :] + records[:place] for place in range(len(records))]
    pairs = [
        (row, next((one for one in others if fits(row, one)), None))
        for row, others in zip(records, following, strict=True)
    ]
    return [(row, other) for row, other in pairs if other is not None]
