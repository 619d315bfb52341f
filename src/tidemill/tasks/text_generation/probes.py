"""Probes of a language model; in a conversation, what is said before a response is changed."""

import random
from collections.abc import Sequence

import pandas as pd

from tidemill.core import conversations
from tidemill.core.spec import Spec
from tidemill.tasks.common.probes import texts
from tidemill.tasks.common.probes.params import TextProbeParams
from tidemill.tasks.common.probes.probe import Change, Edit, Model, Probe, ProbeSet, Rows, known_target
from tidemill.tasks.common.probes.texts import columns_of, edit_of, forms_of_text, odd_texts, split_words
from tidemill.tasks.text_generation.rows import INPUTS, normalise
from tidemill.tasks.text_generation.scoring import score
from tidemill.tokens import bpe

Params = TextProbeParams

OPENING = 1000
"""Characters of a text that are read."""
SLIGHT = 0.05
"""Bits per byte, more or fewer, by which a text is still as likely."""
TARGET = "bits_per_byte"
LINE_ENDS = "Windows line ends"
GREEDY = {"temperature": 0.0, "new_tokens": 8}


def probes(spec: Spec, own: Sequence[TextProbeParams]) -> ProbeSet:
    """Return the probes of a language model: line ends do not matter, word order does, odd texts are continued."""
    odd = odd_texts() | {"the token between texts": lambda text: bpe.END}
    return ProbeSet(
        [
            _as_likely(LINE_ENDS, _edited(forms_of_text()[LINE_ENDS])),
            _likelihood("words in another order", _edited(_shuffled), less=True),
            *(_continued(name, _edited(edit)) for name, edit in odd.items()),
            *(_of_params(one) for one in own),
        ],
        prepared=lambda rows: rows if "chat" in spec else rows.assign(text=rows["text"].str[:OPENING]),
    )


def predict_likelihoods(model: Model, rows: Rows) -> Rows:
    """Return the bits per byte of the texts as `loss`."""
    found = score(model.predict_normalised(normalise(rows)), model.spec)
    return found.assign(shown=[f"{bits:.3f} bits a byte" for bits in found["loss"]])


def predict_continuations(model: Model, rows: Rows) -> Rows:
    """Return the first few tokens of the likeliest continuation of each text."""
    found = model.predict(rows, **GREEDY)
    return found.assign(shown=[f"… {text}" for text in found["prediction"]])


def _of_params(params: TextProbeParams) -> Probe:
    columns_of(params, INPUTS)  # there is but one
    change = _edited(edit_of(params))
    if params.changes:
        expects = f"more or less likely, by over {SLIGHT} bits a byte"
        return Probe(
            params.name, "direction", expects, change, predict_likelihoods, lambda *found: ~_is_as_likely(*found)
        )
    if params.kind == "invariance":
        return _as_likely(params.name, change)
    known_target(params, [TARGET])
    return _likelihood(params.name, change, less=params.raises is not None)


def _edited(edit: Edit) -> Change:
    return texts.edited(INPUTS, lambda text: conversations.edited(text, edit))


def _as_likely(name: str, change: Change) -> Probe:
    expects = f"as likely, to {SLIGHT} bits a byte"
    return Probe(name, "invariance", expects, change, predict_likelihoods, _is_as_likely)


def _is_as_likely(changed: Rows, before: Rows, after: Rows) -> "pd.Series[bool]":
    return (after["loss"] - before["loss"]).abs() <= SLIGHT


def _likelihood(name: str, change: Change, less: bool) -> Probe:
    def passed(changed: Rows, before: Rows, after: Rows) -> "pd.Series[bool]":
        low, high = (before, after) if less else (after, before)
        return low["loss"] < high["loss"]

    return Probe(name, "direction", f"{'less' if less else 'more'} likely", change, predict_likelihoods, passed)


def _continued(name: str, change: Change) -> Probe:
    def passed(changed: Rows, before: Rows, after: Rows) -> "pd.Series[bool]":
        return after["confidence"].between(0, 1, inclusive="right")

    return Probe(name, "minimum function", "a continuation, with probabilities", change, predict_continuations, passed)


def _shuffled(text: str) -> str:
    """Shuffle the words of each line, into the same order each time."""
    generator = random.Random(0)
    lines = [split_words(line) for line in text.split("\n")]
    space = " " if " " in text else ""
    for words in lines:
        generator.shuffle(words)
    return "\n".join(space.join(words) for words in lines)
