"""Probes of classifiers: what a change of its content does to the labels of a row, and to their probabilities."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tidemill.tasks._behaviour import Behaviour, TextBehaviour
from tidemill.tasks._probes import (
    Change,
    Probe,
    Probing,
    Rows,
    edited,
    forms_of_text,
    known_figure,
    odd_texts,
    own_columns,
    own_edit,
    with_others,
)

if TYPE_CHECKING:
    from tidemill.tasks._predictor import Predictor

TEXT = ["text"]
SURE = 0.99
"""A probability that needs not rise further."""


def of_texts(
    labels: Sequence[str], own_params: Sequence[TextBehaviour], another: Callable[[Any, Any], str | None]
) -> Probing:
    """Other forms of a text keep its labels, another text put before it raises that one's, odd ones are answered.

    Args:
        another: Of two rows, the label that only the second has.
    """
    return Probing(
        [
            *(same(name, edited(TEXT, edit)) for name, edit in forms_of_text().items()),
            _led_by_another(labels, another),
            *(answered(name, edited(TEXT, edit)) for name, edit in odd_texts().items()),
            *(own(one, edited(own_columns(one, TEXT), own_edit(one)), labels) for one in own_params),
        ]
    )


def _led_by_another(labels: Sequence[str], another: Callable[[Any, Any], str | None]) -> Probe:
    def led(rows: Rows) -> Rows:
        pairs = with_others(rows, lambda row, other: another(row, other) is not None)
        return rows.loc[[row.Index for row, _ in pairs]].assign(
            text=[f"{other.text} {row.text}" for row, other in pairs], label=[str(another(*pair)) for pair in pairs]
        )

    name, expects = "a text of another class before it", "the other's label more likely"
    return moved(name, expects, led, labels, lambda rows: rows["label"].to_numpy(), upwards=True)


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
