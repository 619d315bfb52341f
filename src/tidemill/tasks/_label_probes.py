"""Probes of classifiers: what a change of its content does to the labels of a row, and to their probabilities."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tidemill.tasks._behaviour import Behaviour
from tidemill.tasks._probes import Probe, Rows, known_figure

if TYPE_CHECKING:
    from tidemill.tasks._predictor import Predictor

Change = Callable[[Rows], Rows]
SURE = 0.99
"""A probability that needs not rise further."""


def same(name: str, change: Change) -> Probe:
    """The label stays."""
    return Probe(name, "invariance", "the same label", change, answers, _is_same)


def answered(name: str, change: Change) -> Probe:
    """There is an answer, whatever it is."""
    return Probe(name, "minimum function", "an answer, with probabilities", change, answers, _is_answer)


def moved(
    name: str, expects: str, change: Change, labels: Sequence[str], target: Callable[[Rows], Any], upwards: bool
) -> Probe:
    """The probability of a label goes up, or down.

    Args:
        labels: All labels, in the order of the probabilities.
        target: The label that it is about: of each changed row, or of all.
    """

    def behaved(changed: Rows, before: Rows, after: Rows) -> "pd.Series[bool]":
        places = pd.Index(labels).get_indexer(pd.Index(np.broadcast_to(target(changed), len(changed))))
        was, became = (
            np.stack(found["probabilities"].to_list())[np.arange(len(places)), places] for found in (before, after)
        )
        right = (became > was) | (np.minimum(was, became) >= SURE) if upwards else became < was
        return pd.Series(right, index=changed.index)

    return Probe(name, "direction", expects, change, answers, behaved)


def own(params: Behaviour, change: Change, labels: Sequence[str]) -> Probe:
    """What the params ask for.

    Raises:
        TidemillError: there is no such label.
    """
    if params.changes:
        return Probe(params.name, "direction", "another label", change, answers, lambda *found: ~_is_same(*found))
    if params.kind == "invariance":
        return same(params.name, change)
    label, upwards = known_figure(params, labels), params.raises is not None
    return moved(
        params.name, f"{label} {'more' if upwards else 'less'} likely", change, labels, lambda rows: label, upwards
    )


def answers(predictor: "Predictor", rows: Rows) -> Rows:
    """The labels, and how sure it is of them."""
    found = predictor.predict(rows)
    told = [
        f"{prediction or 'none'}, {confidence:.3f}"
        for prediction, confidence in zip(found["prediction"], found["confidence"], strict=True)
    ]
    return found.assign(told=told)


def _is_same(changed: Rows, before: Rows, after: Rows) -> "pd.Series[bool]":
    return after["prediction"] == before["prediction"]


def _is_answer(changed: Rows, before: Rows, after: Rows) -> "pd.Series[bool]":
    return after["probabilities"].map(lambda chances: bool(((chances >= 0) & (chances <= 1)).all()))
