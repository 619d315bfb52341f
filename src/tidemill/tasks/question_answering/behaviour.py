"""What is asked of an answerer of questions beyond the test set."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from tidemill.tasks._behaviour import TextBehaviour
from tidemill.tasks._probes import (
    Change,
    Edit,
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
from tidemill.tasks.question_answering import INPUTS, squad
from tidemill.tasks.question_answering.span_baselines import SENTENCE

if TYPE_CHECKING:
    from tidemill.tasks._predictor import Predictor

ROWS = 8
LONG_ROWS = 2
"""Rows that are asked about a very long text."""
CONFIDENCE = "confidence"


def probing(spec: dict[str, Any], own: Sequence[TextBehaviour]) -> Probing:
    """The form of a question and what else the text tells keep its answer; one about another text makes it less sure."""
    questions, contexts = ["question"], ["context"]
    odd = odd_texts()
    return Probing(
        [
            *(_same(f"question: {name}", edited(questions, edit)) for name, edit in forms_of_text().items()),
            _same("a line a sentence", edited(contexts, lambda context: "\n".join(_sentences(context)))),
            _same("a sentence of another text after it", _with_further_sentence),
            _same("order of irrelevant sentences", _reordered),
            _confidence("a question about another text", _of_another_text, upwards=False),
            _answered("no question", edited(questions, odd["empty"])),
            _answered("a very long question", edited(questions, odd["very long"])),
            _silent("empty text", edited(contexts, odd["empty"])),
            _answered("short text", edited(contexts, lambda context: context.split()[0])),
            _answered("very long text", lambda rows: edited(contexts, odd["very long"])(rows.head(LONG_ROWS))),
            _answered("text in another script", edited(contexts, odd["another script"])),
            *(_own(one) for one in own),
        ],
        rows=ROWS,
    )


def answers(predictor: "Predictor", rows: Rows) -> Rows:
    """The part of the text that answers, and how sure the model is of it."""
    found = predictor.predict(rows)
    told = [
        f"{f'“{prediction}”' if prediction else 'no answer'}, {confidence:.3f}"
        for prediction, confidence in zip(found["prediction"], found["confidence"], strict=True)
    ]
    return found.assign(told=told)


def _own(params: TextBehaviour) -> Probe:
    edit = own_edit(params)
    change = edited(own_columns(params, INPUTS), edit)
    if params.changes:
        different = lambda *found: ~_is_same(str)(*found)  # noqa: E731
        return Probe(params.name, "direction", "another answer", change, answers, different)
    if params.kind == "invariance":
        return _same(params.name, change, carried=edit if params.replace and not params.column else str)
    known_figure(params, [CONFIDENCE])
    return _confidence(params.name, change, upwards=params.raises is not None)


def _same(name: str, change: Change, carried: Edit = str) -> Probe:
    """The answer stays, but for what `carried` makes of it, and for what SQuAD does not count."""
    return Probe(name, "invariance", "the same answer", change, answers, _is_same(carried))


def _is_same(carried: Edit) -> Callable[[Rows, Rows, Rows], "pd.Series[bool]"]:
    def behaved(changed: Rows, before: Rows, after: Rows) -> "pd.Series[bool]":
        pairs = zip(before["prediction"].map(carried), after["prediction"], strict=True)
        return pd.Series([squad.normalised(was) == squad.normalised(became) for was, became in pairs], changed.index)

    return behaved


def _confidence(name: str, change: Change, upwards: bool) -> Probe:
    def behaved(changed: Rows, before: Rows, after: Rows) -> "pd.Series[bool]":
        low, high = (before, after) if upwards else (after, before)
        return low[CONFIDENCE] < high[CONFIDENCE]

    return Probe(name, "direction", f"{'more' if upwards else 'less'} sure of its answer", change, answers, behaved)


def _answered(name: str, change: Change) -> Probe:
    """There is an answer out of the text, or none."""

    def behaved(changed: Rows, before: Rows, after: Rows) -> "pd.Series[bool]":
        inside = [answer in text for answer, text in zip(after["prediction"], changed["context"], strict=True)]
        return after[CONFIDENCE].between(0, 1) & pd.Series(inside, changed.index)

    return Probe(name, "minimum function", "an answer out of the text, or none", change, answers, behaved)


def _silent(name: str, change: Change) -> Probe:
    return Probe(
        name,
        "minimum function",
        "no answer",
        change,
        answers,
        lambda changed, before, after: after["prediction"].eq(""),
    )


def _sentences(context: str) -> list[str]:
    return [sentence.strip() for sentence in SENTENCE.findall(context) if sentence.strip()]


def _with_further_sentence(rows: Rows) -> Rows:
    pairs = with_others(rows, _about_another_text)
    contexts = [f"{row.context} {_sentences(other.context)[0]}" for row, other in pairs]
    return rows.loc[[row.Index for row, _ in pairs]].assign(context=contexts)


def _reordered(rows: Rows) -> Rows:
    """The first sentence, unless the answer stands in it, comes last."""
    sentences = rows["context"].map(_sentences)
    accepted = rows["answers"].map(lambda answers: [answer["text"] for answer in answers])
    irrelevant = [
        len(parts) > 2 and not any(answer in parts[0] for answer in answers)
        for parts, answers in zip(sentences, accepted, strict=True)
    ]
    return rows.assign(context=sentences.map(lambda parts: " ".join([*parts[1:], parts[0]])))[irrelevant]


def _of_another_text(rows: Rows) -> Rows:
    pairs = with_others(rows, _about_another_text)
    return rows.loc[[row.Index for row, _ in pairs]].assign(question=[other.question for _, other in pairs])


def _about_another_text(row: Any, other: Any) -> bool:
    return bool(row.context != other.context and row.question != other.question)
