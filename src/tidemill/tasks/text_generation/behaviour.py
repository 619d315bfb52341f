"""What is asked of a language model beyond the test set."""

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from tidemill.tasks import text_generation
from tidemill.tasks._behaviour import TextBehaviour
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
    tokens,
)
from tidemill.tokens import bpe

if TYPE_CHECKING:
    from tidemill.tasks._predictor import Predictor

OPENING = 1000
"""Characters of a text that are looked at."""
SLIGHT = 0.05
"""Bits a byte, more or fewer, by which a text is still as likely."""
FIGURE = "bits_per_byte"
LINE_ENDS = "Windows line ends"
GREEDY = {"temperature": 0.0, "new_tokens": 8}


def probing(spec: dict[str, Any], own: Sequence[TextBehaviour]) -> Probing:
    """Line ends do not matter, the order of the words does, and odd texts are gone on with."""
    column = list(text_generation.INPUTS)
    odd = odd_texts() | {"the token between texts": lambda text: bpe.END}
    return Probing(
        [
            _as_likely(LINE_ENDS, edited(column, forms_of_text()[LINE_ENDS])),
            _likelihood("words in another order", edited(column, _shuffled), less=True),
            *(_gone_on_with(name, edited(column, edit)) for name, edit in odd.items()),
            *(_own(one, column) for one in own),
        ],
        prepared=lambda rows: rows.assign(text=rows["text"].str[:OPENING]),
    )


def likelihoods(predictor: "Predictor", rows: Rows) -> Rows:
    """Bits a byte that the texts take."""
    found = text_generation.score(predictor.examine(text_generation.normalise(rows)), predictor.spec)
    return found.assign(told=[f"{bits:.3f} bits a byte" for bits in found["loss"]])


def continuations(predictor: "Predictor", rows: Rows) -> Rows:
    """The first few tokens that the model goes on with."""
    found = predictor.predict(rows, **GREEDY)
    return found.assign(told=[f"… {text}" for text in found["prediction"]])


def _own(params: TextBehaviour, column: Sequence[str]) -> Probe:
    change = edited(own_columns(params, column), own_edit(params))
    if params.changes:
        unlike = lambda *found: ~_is_as_likely(*found)  # noqa: E731
        return Probe(
            params.name, "direction", f"more or less likely, by over {SLIGHT} bits a byte", change, likelihoods, unlike
        )
    if params.kind == "invariance":
        return _as_likely(params.name, change)
    known_figure(params, [FIGURE])
    return _likelihood(params.name, change, less=params.raises is not None)


def _as_likely(name: str, change: Change) -> Probe:
    return Probe(name, "invariance", f"as likely, to {SLIGHT} bits a byte", change, likelihoods, _is_as_likely)


def _is_as_likely(changed: Rows, before: Rows, after: Rows) -> "pd.Series[bool]":
    return (after["loss"] - before["loss"]).abs() <= SLIGHT


def _likelihood(name: str, change: Change, less: bool) -> Probe:
    def behaved(changed: Rows, before: Rows, after: Rows) -> "pd.Series[bool]":
        low, high = (before, after) if less else (after, before)
        return low["loss"] < high["loss"]

    return Probe(name, "direction", f"{'less' if less else 'more'} likely", change, likelihoods, behaved)


def _gone_on_with(name: str, change: Change) -> Probe:
    def behaved(changed: Rows, before: Rows, after: Rows) -> "pd.Series[bool]":
        return after["confidence"].between(0, 1, inclusive="right")

    return Probe(name, "minimum function", "a continuation, with probabilities", change, continuations, behaved)


def _shuffled(text: str) -> str:
    """The words of each line in an order of chance, the same one each time."""
    chance = random.Random(0)
    lines = [tokens(line) for line in text.split("\n")]
    spaced = " " if " " in text else ""
    for words in lines:
        chance.shuffle(words)
    return "\n".join(spaced.join(words) for words in lines)
