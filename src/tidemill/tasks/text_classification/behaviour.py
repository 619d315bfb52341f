"""What is asked of a classifier of texts beyond the test set."""

from collections.abc import Sequence
from typing import Any

from tidemill.tasks import _label_probes
from tidemill.tasks._behaviour import TextBehaviour
from tidemill.tasks._probes import (
    Probe,
    Probing,
    Rows,
    edited,
    forms_of_text,
    odd_texts,
    own_columns,
    own_edit,
    with_others,
)

COLUMN = ["text"]


def probing(spec: dict[str, Any], own: Sequence[TextBehaviour]) -> Probing:
    """Other forms of a text keep its label, a text of another class put before it raises that one's, odd ones are answered."""
    labels = spec["labels"]
    return Probing(
        [
            *(_label_probes.same(name, edited(COLUMN, edit)) for name, edit in forms_of_text().items()),
            _led_by_another(labels),
            *(_label_probes.answered(name, edited(COLUMN, edit)) for name, edit in odd_texts().items()),
            *(_label_probes.own(one, edited(own_columns(one, COLUMN), own_edit(one)), labels) for one in own),
        ]
    )


def _led_by_another(labels: Sequence[str]) -> Probe:
    expects = "the other's label more likely"
    return _label_probes.moved(
        "a text of another class before it", expects, _led, labels, lambda rows: rows["label"].to_numpy(), upwards=True
    )


def _led(rows: Rows) -> Rows:
    """Each text after one of another class, under that one's label."""
    pairs = with_others(rows, lambda row, other: row.label != other.label)
    places = [row.Index for row, _ in pairs]
    return rows.loc[places].assign(
        text=[f"{other.text} {row.text}" for row, other in pairs], label=[other.label for _, other in pairs]
    )
