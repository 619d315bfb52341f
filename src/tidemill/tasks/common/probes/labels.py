"""Probes of classifiers: what a change of a row does to its predicted labels and their probabilities."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from tidemill.tasks.common.probes.params import ProbeParams, TextProbeParams
from tidemill.tasks.common.probes.probe import Change, Model, Passed, Probe, ProbeSet, Rows, known_target, paired
from tidemill.tasks.common.probes.texts import columns_of, edit_of, edited, forms_of_text, odd_texts

TEXT = ["text"]
CERTAIN = 0.99
"""A probability that need not rise any further."""

IsSame = Callable[["pd.Series[str]", "pd.Series[str]"], "pd.Series[bool]"]
"""The `is_same` of the task's scoring."""


def text_probes(
    labels: Sequence[str],
    own: Sequence[TextProbeParams],
    is_same: IsSame,
    new_label: Callable[[Any, Any], str | None],
) -> ProbeSet:
    """Return the probes of a classifier of texts.

    Other forms of a text keep the prediction, another text before it makes that text's label more likely, and odd texts
    still get a prediction.

    Args:
        labels: all labels, in the order of the probabilities.
        new_label: takes two rows; returns a label that only the second has, if any.
    """
    return ProbeSet(
        [
            *(same(name, edited(TEXT, edit), is_same) for name, edit in forms_of_text().items()),
            _other_text_first(labels, new_label),
            *(valid(name, edited(TEXT, edit)) for name, edit in odd_texts().items()),
            *(of_params(one, edited(columns_of(one, TEXT), edit_of(one)), labels, is_same) for one in own),
        ]
    )


def same(name: str, change: Change, is_same: IsSame) -> Probe:
    """Return a probe that the prediction stays the same."""
    return Probe(name, "invariance", "the same label", change, predict, _unchanged(is_same))


def valid(name: str, change: Change) -> Probe:
    """Return a probe that there is a prediction, whatever it is."""
    return Probe(name, "minimum function", "a prediction, with probabilities", change, predict, _is_valid)


def moved(
    name: str, expects: str, change: Change, labels: Sequence[str], target: Callable[[Rows], Any], upwards: bool
) -> Probe:
    """Return a probe that the probability of a label rises, or falls.

    Args:
        labels: all labels, in the order of the probabilities.
        target: takes the changed rows; returns the label in question, one for each row or one for all.
    """

    def passed(changed: Rows, before: Rows, after: Rows) -> "pd.Series[bool]":
        places = pd.Index(labels).get_indexer(pd.Index(np.broadcast_to(target(changed), len(changed))))
        old, new = (
            np.stack(table["probabilities"].to_list())[np.arange(len(places)), places] for table in (before, after)
        )
        right = (new > old) | (np.minimum(old, new) >= CERTAIN) if upwards else new < old
        return pd.Series(right, index=changed.index)

    return Probe(name, "direction", expects, change, predict, passed)


def of_params(params: ProbeParams, change: Change, labels: Sequence[str], is_same: IsSame) -> Probe:
    """Return the probe that the params ask for.

    Raises:
        TidemillError: there is no such label.
    """
    if params.changes:
        unchanged = _unchanged(is_same)
        return Probe(params.name, "direction", "another label", change, predict, lambda *found: ~unchanged(*found))
    if params.kind == "invariance":
        return same(params.name, change, is_same)
    label, upwards = known_target(params, labels), params.raises is not None
    expects = f"{label} {'more' if upwards else 'less'} likely"
    return moved(params.name, expects, change, labels, lambda rows: label, upwards)


def predict(model: Model, rows: Rows) -> Rows:
    """Return the predicted labels; `shown` is each with its confidence."""
    found = model.predict(rows)
    shown = [
        f"{prediction or 'none'}, {confidence:.3f}"
        for prediction, confidence in zip(found["prediction"], found["confidence"], strict=True)
    ]
    return found.assign(shown=shown)


def _other_text_first(labels: Sequence[str], new_label: Callable[[Any, Any], str | None]) -> Probe:
    def change(rows: Rows) -> Rows:
        pairs = paired(rows, lambda row, other: new_label(row, other) is not None)
        return rows.loc[[row.Index for row, _ in pairs]].assign(
            text=[f"{other.text} {row.text}" for row, other in pairs], label=[str(new_label(*pair)) for pair in pairs]
        )

    name, expects = "a text of another class before it", "the other's label more likely"
    return moved(name, expects, change, labels, lambda rows: rows["label"].to_numpy(), upwards=True)


def _unchanged(is_same: IsSame) -> Passed:
    return lambda changed, before, after: is_same(after["prediction"], before["prediction"])


def _is_valid(changed: Rows, before: Rows, after: Rows) -> "pd.Series[bool]":
    return after["probabilities"].map(lambda chances: bool(((chances >= 0) & (chances <= 1)).all()))
