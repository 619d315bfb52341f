"""Probes of a model that answers questions."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from tidemill.core.spec import Spec
from tidemill.tasks.common.probes.params import TextProbeParams
from tidemill.tasks.common.probes.probe import Change, Edit, Model, Passed, Probe, ProbeSet, Rows, known_target, paired
from tidemill.tasks.common.probes.texts import columns_of, edit_of, edited, forms_of_text, odd_texts
from tidemill.tasks.question_answering.baselines import SENTENCE
from tidemill.tasks.question_answering.rows import INPUTS
from tidemill.tasks.question_answering.scoring import is_same

Params = TextProbeParams

ROWS = 8
LONG_ROWS = 2
"""Rows whose context becomes a very long text."""
CONFIDENCE = "confidence"


def probes(spec: Spec, own: Sequence[TextProbeParams]) -> ProbeSet:
    """Return the probes of a model that answers questions.

    Other forms of a question, and what the text holds beside the answer, keep the answer; a question about another text
    lowers the confidence; odd questions and texts get an answer out of the text, or none.
    """
    questions, contexts = ["question"], ["context"]
    odd = odd_texts()
    return ProbeSet(
        [
            *(_same(f"question: {name}", edited(questions, edit)) for name, edit in forms_of_text().items()),
            _same("a line a sentence", edited(contexts, lambda context: "\n".join(_sentences(context)))),
            _same("a sentence of another text after it", _with_further_sentence),
            _same("order of irrelevant sentences", _reordered),
            _confidence("a question about another text", _of_another_text, upwards=False),
            _valid("no question", edited(questions, odd["empty"])),
            _valid("a very long question", edited(questions, odd["very long"])),
            _none("empty text", edited(contexts, odd["empty"])),
            _valid("short text", edited(contexts, lambda context: context.split()[0])),
            _valid("very long text", lambda rows: edited(contexts, odd["very long"])(rows.head(LONG_ROWS))),
            _valid("text in another script", edited(contexts, odd["another script"])),
            *(_of_params(one) for one in own),
        ],
        rows=ROWS,
    )


def predict(model: Model, rows: Rows) -> Rows:
    """Return the answers; `shown` is each with its confidence."""
    found = model.predict(rows)
    shown = [
        f"{f'“{prediction}”' if prediction else 'no answer'}, {confidence:.3f}"
        for prediction, confidence in zip(found["prediction"], found["confidence"], strict=True)
    ]
    return found.assign(shown=shown)


def _of_params(params: TextProbeParams) -> Probe:
    edit = edit_of(params)
    change = edited(columns_of(params, INPUTS), edit)
    if params.changes:
        unchanged = _unchanged(str)
        return Probe(params.name, "direction", "another answer", change, predict, lambda *found: ~unchanged(*found))
    if params.kind == "invariance":
        return _same(params.name, change, in_answer=edit if params.replace and not params.column else str)
    known_target(params, [CONFIDENCE])
    return _confidence(params.name, change, upwards=params.raises is not None)


def _same(name: str, change: Change, in_answer: Edit = str) -> Probe:
    """Return a probe that the answer stays the same.

    Args:
        in_answer: what the change does to the answer itself.
    """
    return Probe(name, "invariance", "the same answer", change, predict, _unchanged(in_answer))


def _unchanged(in_answer: Edit) -> Passed:
    def passed(changed: Rows, before: Rows, after: Rows) -> "pd.Series[bool]":
        return is_same(before["prediction"].map(in_answer), after["prediction"])

    return passed


def _confidence(name: str, change: Change, upwards: bool) -> Probe:
    def passed(changed: Rows, before: Rows, after: Rows) -> "pd.Series[bool]":
        low, high = (before, after) if upwards else (after, before)
        return low[CONFIDENCE] < high[CONFIDENCE]

    return Probe(name, "direction", f"{'more' if upwards else 'less'} sure of its answer", change, predict, passed)


def _valid(name: str, change: Change) -> Probe:
    """Return a probe that there is an answer out of the text, or none."""

    def passed(changed: Rows, before: Rows, after: Rows) -> "pd.Series[bool]":
        inside = [answer in text for answer, text in zip(after["prediction"], changed["context"], strict=True)]
        return after[CONFIDENCE].between(0, 1) & pd.Series(inside, changed.index)

    return Probe(name, "minimum function", "an answer out of the text, or none", change, predict, passed)


def _none(name: str, change: Change) -> Probe:
    def passed(changed: Rows, before: Rows, after: Rows) -> "pd.Series[bool]":
        return after["prediction"].eq("")

    return Probe(name, "minimum function", "no answer", change, predict, passed)


def _sentences(context: str) -> list[str]:
    return [sentence.strip() for sentence in SENTENCE.findall(context) if sentence.strip()]


def _with_further_sentence(rows: Rows) -> Rows:
    pairs = paired(rows, _about_another_text)
    contexts = [f"{row.context} {_sentences(other.context)[0]}" for row, other in pairs]
    return rows.loc[[row.Index for row, _ in pairs]].assign(context=contexts)


def _reordered(rows: Rows) -> Rows:
    """Move the first sentence to the end, unless the answer stands in it."""
    sentences = rows["context"].map(_sentences)
    accepted = rows["answers"].map(lambda answers: [answer["text"] for answer in answers])
    irrelevant = [
        len(parts) > 2 and not any(answer in parts[0] for answer in answers)
        for parts, answers in zip(sentences, accepted, strict=True)
    ]
    return rows.assign(context=sentences.map(lambda parts: " ".join([*parts[1:], parts[0]])))[irrelevant]


def _of_another_text(rows: Rows) -> Rows:
    pairs = paired(rows, _about_another_text)
    return rows.loc[[row.Index for row, _ in pairs]].assign(question=[other.question for _, other in pairs])


def _about_another_text(row: Any, other: Any) -> bool:
    return bool(row.context != other.context and row.question != other.question)
