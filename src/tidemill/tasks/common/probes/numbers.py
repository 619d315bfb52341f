"""Probes of models that predict numbers: what a change of a row does to the number."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from tidemill.tasks.common.probes.params import ProbeParams
from tidemill.tasks.common.probes.probe import Change, Model, Passed, Probe, Rows, known_target

IsSame = Callable[["pd.Series[Any]", "pd.Series[Any]"], "pd.Series[bool]"]
"""The `is_same` of the task's scoring."""
PREDICTION = ("prediction",)
"""What of a prediction can rise or fall."""


def same(name: str, change: Change, same_numbers: Passed) -> Probe:
    """Return a probe that the predicted number stays the same."""
    return Probe(name, "invariance", "the same number", change, predict, same_numbers)


def valid(name: str, change: Change) -> Probe:
    """Return a probe that there is a number, whatever it is."""
    return Probe(name, "minimum function", "a finite number", change, predict, _is_finite)


def of_params(params: ProbeParams, change: Change, same_numbers: Passed) -> Probe:
    """Return the probe that the params ask for.

    Raises:
        TidemillError: it is about something else than `prediction`.
    """
    if params.changes:
        return Probe(params.name, "direction", "another number", change, predict, lambda *found: ~same_numbers(*found))
    if params.kind == "invariance":
        return same(params.name, change, same_numbers)
    known_target(params, PREDICTION)
    sign, expects = (1, "a higher number") if params.raises else (-1, "a lower number")

    def moved(changed: Rows, before: Rows, after: Rows) -> "pd.Series[bool]":
        old, new = (table["prediction"].to_numpy(np.float64) for table in (before, after))
        return pd.Series(sign * (new - old) > 0, index=changed.index)

    return Probe(params.name, "direction", expects, change, predict, moved)


def predict(model: Model, rows: Rows) -> Rows:
    """Return the predicted numbers; `shown` is each with a few digits."""
    found = model.predict(rows)
    return found.assign(shown=[f"{value:.6g}" for value in found["prediction"]])


def unchanged(is_same: IsSame) -> Passed:
    """Return whether the number before is that after, as the task's scoring compares them."""
    return lambda changed, before, after: is_same(after["prediction"], before["prediction"])


def _is_finite(changed: Rows, before: Rows, after: Rows) -> "pd.Series[bool]":
    finite = np.isfinite(after["prediction"].to_numpy(np.float64))
    return pd.Series(finite, index=after.index, dtype=bool)
