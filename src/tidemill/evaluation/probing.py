"""Probing a model: test rows are changed, and its predictions before and after are compared.

Ribeiro et al., Beyond Accuracy: Behavioral Testing of NLP Models with CheckList, ACL 2020.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from tidemill.core.intervals import share
from tidemill.evaluation.params import Evaluate
from tidemill.tasks.common.probes import probe as task_probes

if TYPE_CHECKING:
    from tidemill.inference.predictor import Predictor
    from tidemill.tasks.common.probes.probe import Probe, ProbeSet

Rows = pd.DataFrame

EDGE_ROWS = 5
"""Rows that edge-case input is made of: the model handles it, or not."""
LONGEST = 200
"""Characters kept of a text that failed, and of an error message."""


@dataclass(frozen=True)
class Probed:
    """The outcome of one probe."""

    result: dict[str, Any]
    """As it stands in `evaluation.json`."""
    failure: dict[str, Any] | None
    """The first changed row that failed, whole."""


def probe_model(predictor: "Predictor", rows: Rows, params: Evaluate) -> list[Probed]:
    """Run each probe of the task, and each of the params, on a sample of test rows that the seed decides.

    Raises:
        TidemillError: a probe of the params names a label or column that does not exist.
    """
    probe_set = task_probes.of(predictor.task).probes(predictor.spec, params.probes)
    shuffled = probe_set.prepared(rows.sample(frac=1, random_state=params.seed))
    cache = _Predictions(predictor)
    changed = [_changed(probe, shuffled, probe_set, cache.inputs) for probe in probe_set.probes]
    return [
        _outcome(probe, cache, rows_, shuffled.loc[rows_.index], params)
        for probe, rows_ in zip(probe_set.probes, changed, strict=True)
    ]


class _Predictions:
    """Predictions for rows, computed once for each content: most other forms of a text are the same to a model."""

    def __init__(self, predictor: "Predictor") -> None:
        self.predictor, self.inputs = predictor, list(predictor.inputs)
        self.known: dict[tuple[Any, ...], Any] = {}

    def of(self, probe: "Probe", rows: Rows) -> Rows:
        """Return a prediction for each row; one that raises has only the error as `shown`, and is `broken`."""
        contents = self.predictor.rows.normalise(rows)[self.inputs]
        keys = [(probe.predict, *content) for content in contents.itertuples(index=False, name=None)]
        positions = dict(zip(keys, range(len(keys)), strict=True))
        missing = [position for key, position in positions.items() if key not in self.known]
        if missing:
            found = self._predict(probe, rows.iloc[missing]).to_dict("records")
            self.known |= zip([keys[position] for position in missing], found, strict=True)
        return pd.DataFrame([self.known[key] for key in keys], index=rows.index)

    def _predict(self, probe: "Probe", rows: Rows) -> Rows:
        try:
            return probe.predict(self.predictor, rows).assign(broken=False)
        except Exception as error:  # any error at all is what a probe looks for
            if len(rows) == 1:
                shown = f"{type(error).__name__}: {' '.join(str(error).split())[:LONGEST]}"
                return pd.DataFrame({"shown": [shown], "broken": [True]}, index=rows.index)
            return pd.concat([self._predict(probe, rows.iloc[[position]]) for position in range(len(rows))])


def _changed(probe: "Probe", rows: Rows, probe_set: "ProbeSet", inputs: Sequence[str]) -> Rows:
    """Return the first rows that the probe changes, as many as the task asks for; of edge cases, what differs."""
    if probe.kind == "minimum function":
        return probe.change(rows.head(EDGE_ROWS)).drop_duplicates(list(inputs))
    parts: list[Rows] = []
    for start in range(0, len(rows), probe_set.rows):
        parts.append(probe.change(rows[start : start + probe_set.rows]))
        if sum(map(len, parts)) >= probe_set.rows:
            break
    return pd.concat(parts).head(probe_set.rows)


def _outcome(probe: "Probe", cache: _Predictions, changed: Rows, unchanged: Rows, params: Evaluate) -> Probed:
    described = {"name": probe.name, "kind": probe.kind, "expects": probe.expects, "rows": len(changed)}
    if changed.empty:
        return Probed({**described, "passed": None, "failure": None}, None)
    before, after = cache.of(probe, unchanged), cache.of(probe, changed)
    failed = _failed(probe, changed, before, after)
    passed = share(len(changed) - len(failed), len(changed), params.confidence)
    if not failed:
        return Probed({**described, "passed": passed, "failure": None}, None)
    row = {str(name): value for name, value in changed.loc[failed[0]].items()}
    failure = {"id": row["id"], "before": before["shown"][failed[0]], "after": after["shown"][failed[0]]}
    texts = {name: row[name][:LONGEST] for name in cache.inputs if isinstance(row[name], str)}
    return Probed({**described, "passed": passed, "failure": {**failure, **texts}}, row)


def _failed(probe: "Probe", changed: Rows, before: Rows, after: Rows) -> list[Any]:
    """Return the index of each row that did not do as expected, or raised an error."""
    whole = changed.index[~(before["broken"] | after["broken"])]
    passed = probe.passed(changed.loc[whole], before.loc[whole], after.loc[whole]) if len(whole) else pd.Series()
    return [row for row in changed.index if row not in whole or not passed[row]]
