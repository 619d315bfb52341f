"""How a model behaves when its input is changed: what must not matter, what must, and what it must get through.

Ribeiro et al., Beyond Accuracy: Behavioral Testing of NLP Models with CheckList, ACL 2020.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from tidemill import tasks
from tidemill.config import Evaluate
from tidemill.evaluation.intervals import Interval, share

if TYPE_CHECKING:
    from tidemill.tasks._predictor import Predictor
    from tidemill.tasks._probes import Probe, Probing

Rows = pd.DataFrame

EDGE_ROWS = 5
"""Rows that input at the edge is made of: it is got through, or not."""
LONGEST = 200
"""Characters kept of a text that failed, and of an error."""


@dataclass(frozen=True)
class Tried:
    """What one change came to."""

    result: dict[str, Any]
    """As it stands in `evaluation.json`."""
    failure: dict[str, Any] | None
    """The first changed row that did not do as expected, whole."""


def tried(name: str, predictor: "Predictor", rows: Rows, params: Evaluate) -> list[Tried]:
    """Each change of a task, and each of the params, on a sample of test rows that the seed decides.

    Args:
        name: The task's name.
    """
    probing = tasks.probing(name, predictor.spec, params.behaviours)
    shuffled = probing.prepared(rows.sample(frac=1, random_state=params.seed))
    asked = _Asked(predictor)
    found = [_changed(probe, shuffled, probing, asked.inputs) for probe in probing.probes]
    return [
        _outcome(probe, asked, changed, shuffled.loc[changed.index], params)
        for probe, changed in zip(probing.probes, found, strict=True)
    ]


def figures(evaluation: Mapping[str, Any]) -> dict[str, Interval]:
    """What a gate may name: the metrics and, as `behaviour.white_space`, the share of rows that behaved."""
    shares = {
        f"behaviour.{slug(found['name'])}": found["behaved"]
        for found in evaluation["behaviours"]
        if found["behaved"] is not None
    }
    return {**evaluation["metrics"], **shares}


def slug(name: str) -> str:
    """A name as a param has it."""
    return re.sub(r"\W+", "_", name.lower()).strip("_")


class _Asked:
    """The model's answers to rows, each content asked for once: most other forms of a text are the same to a model."""

    def __init__(self, predictor: "Predictor") -> None:
        self.predictor, self.inputs = predictor, list(predictor.task.INPUTS)
        self.known: dict[tuple[Any, ...], Any] = {}

    def answers(self, probe: "Probe", rows: Rows) -> Rows:
        """An answer a row; one that ends in an error has no more than the sentence of it, and is `broken`."""
        contents = self.predictor.task.normalise(rows)[self.inputs]
        keys = [(probe.answer, *content) for content in contents.itertuples(index=False, name=None)]
        missing = [
            place for key, place in dict(zip(keys, range(len(keys)), strict=True)).items() if key not in self.known
        ]
        if missing:
            found = self._ask(probe, rows.iloc[missing]).to_dict("records")
            self.known |= zip([keys[place] for place in missing], found, strict=True)
        return pd.DataFrame([self.known[key] for key in keys], index=rows.index)

    def _ask(self, probe: "Probe", rows: Rows) -> Rows:
        try:
            return probe.answer(self.predictor, rows).assign(broken=False)
        except Exception as error:  # whatever goes wrong is what is looked for
            if len(rows) == 1:
                told = f"{type(error).__name__}: {' '.join(str(error).split())[:LONGEST]}"
                return pd.DataFrame({"told": [told], "broken": [True]}, index=rows.index)
            return pd.concat([self._ask(probe, rows.iloc[[place]]) for place in range(len(rows))])


def _changed(probe: "Probe", rows: Rows, probing: "Probing", inputs: Sequence[str]) -> Rows:
    """The first so many rows that the change changes; of input at the edge, what differs."""
    if probe.kind == "minimum function":
        return probe.change(rows.head(EDGE_ROWS)).drop_duplicates(list(inputs))
    parts: list[Rows] = []
    for start in range(0, len(rows), probing.rows):
        parts.append(probe.change(rows[start : start + probing.rows]))
        if sum(map(len, parts)) >= probing.rows:
            break
    return pd.concat(parts).head(probing.rows)


def _outcome(probe: "Probe", asked: _Asked, changed: Rows, unchanged: Rows, params: Evaluate) -> Tried:
    described = {"name": probe.name, "kind": probe.kind, "expects": probe.expects, "rows": len(changed)}
    if changed.empty:
        return Tried({**described, "behaved": None, "failure": None}, None)
    before, after = asked.answers(probe, unchanged), asked.answers(probe, changed)
    failed = _failed(probe, changed, before, after)
    behaved = share(len(changed) - len(failed), len(changed), params.confidence)
    if not failed:
        return Tried({**described, "behaved": behaved, "failure": None}, None)
    row = {str(name): value for name, value in changed.loc[failed[0]].items()}
    failure = {"id": row["id"], "before": before["told"][failed[0]], "after": after["told"][failed[0]]}
    texts = {name: row[name][:LONGEST] for name in asked.inputs if isinstance(row[name], str)}
    return Tried({**described, "behaved": behaved, "failure": {**failure, **texts}}, row)


def _failed(probe: "Probe", changed: Rows, before: Rows, after: Rows) -> list[Any]:
    """The index of each row that did not do as expected, or ended in an error."""
    whole = changed.index[~(before["broken"] | after["broken"])]
    behaved = probe.behaved(changed.loc[whole], before.loc[whole], after.loc[whole]) if len(whole) else pd.Series()
    return [place for place in changed.index if place not in whole or not behaved[place]]
