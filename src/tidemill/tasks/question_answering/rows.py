"""Rows: a question, its context, and the accepted answers with their places in it."""

from hashlib import sha256
from typing import Any

import pandas as pd

from tidemill.core import text

INPUTS = ("question", "context")
TARGETS = ("answers",)

Answer = dict[str, Any]
"""`text`, and `start`: the place of its first character in the context."""


def normalise(rows: pd.DataFrame) -> pd.DataFrame:
    """Normalise the question; keep the context as it is, since an answer is a place in it."""
    question, context = (rows[name].fillna("").astype(str) for name in INPUTS)
    return rows.assign(question=question.map(text.normalised), context=context)


def clean(rows: pd.DataFrame) -> pd.DataFrame:
    """Normalise, and locate the answers in their contexts; rows where that cannot be done get a reason."""
    rows = normalise(rows.assign(answers=rows.get("answers")))
    found = [_cleaned(*values) for values in zip(rows["answers"], rows["question"], rows["context"], strict=True)]
    reasons = pd.Series([reason for _, reason in found], index=rows.index, dtype=object)
    answers = pd.Series([answers for answers, _ in found], index=rows.index, dtype=object)
    return rows.assign(answers=answers, label=None, reason=rows["reason"].where(rows["reason"].notna(), reasons))


def content(rows: pd.DataFrame) -> "pd.Series[str]":
    """Return the question with its context."""
    return rows["question"] + "\n" + rows["context"]


def group(rows: pd.DataFrame) -> "pd.Series[str]":
    """Return the letters and digits of the context: all questions about one text are in one split."""
    return rows["context"].map(lambda context: "".join(filter(str.isalnum, context.casefold())))


def near_copies(rows: pd.DataFrame, similarity: float) -> "pd.Series[str]":
    """Return a group name that questions with nearly the same shingles about the same context share."""
    from tidemill.rows import near_copies

    contexts = group(rows).map(lambda context: sha256(context.encode()).hexdigest())
    by_context = rows["question"].groupby(contexts)
    return by_context.transform(lambda questions: near_copies.texts(questions, similarity)) + contexts


def located(given: Any, context: str) -> list[Answer]:
    """Return the answers at their places in the context; a wrong place is corrected if the text occurs exactly once.

    Args:
        given: a list of `{text, start}`, of `{text, answer_start}` or of texts; a dictionary of such lists, as in Hugging
            Face's `squad`; or one text. An empty list means that the context holds no answer.

    Raises:
        ValueError: there are no answers at all, or one cannot be located.
    """
    return [_corrected(text.strip(), start, context) for text, start in _pairs(given)]


def _cleaned(answers: Any, question: str, context: str) -> tuple[list[Answer], str | None]:
    if not question or not context.strip():
        return [], "no context" if question else "no question"
    try:
        return located(answers, context), None
    except (ValueError, KeyError, TypeError) as error:
        return [], str(error) if isinstance(error, ValueError) else "answers are not a list of {text, start}"


def _pairs(given: Any) -> list[tuple[str, int | None]]:
    """Return text and place of each answer; None where no place is given."""
    if given is None or (isinstance(given, float) and given != given):
        raise ValueError("no answers")
    if isinstance(given, str):
        return [(given, None)]
    if isinstance(given, dict):
        starts = given.get("start", given.get("answer_start"))
        starts = [None] * len(given["text"]) if starts is None else starts
        return list(zip(given["text"], starts, strict=True))
    return [(one, None) if isinstance(one, str) else (one["text"], _start(one)) for one in given]


def _start(answer: Answer) -> int | None:
    start = answer.get("start", answer.get("answer_start"))
    return None if start is None else int(start)


def _corrected(text: str, start: int | None, context: str) -> Answer:
    if not text:
        raise ValueError("an answer is empty")
    if start is not None and start >= 0 and context.startswith(text, start):
        return {"text": text, "start": start}
    if context.count(text) != 1:
        stands = f"does not stand at {start}, but " if start is not None else "stands "
        raise ValueError(f"the answer {text[:60]!r} {stands}{context.count(text)} times in the context")
    return {"text": text, "start": context.index(text)}
