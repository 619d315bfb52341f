"""Answers as texts: found in their context, and scored as SQuAD does.

Rajpurkar et al., 2016 and 2018; the rules are those of the official `evaluate-v2.0.py`.
"""

import re
import string
from collections import Counter
from collections.abc import Sequence
from typing import Any

ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)

Answer = dict[str, Any]
"""`text`, and `start`: the place of its first character in the context."""


def located(given: Any, context: str) -> list[Answer]:
    """Answers that stand in the context where they say they do; one with a wrong place that is found just once is mended.

    Args:
        given: A list of `{text, start}`, of `{text, answer_start}` or of texts; a dictionary of such lists, as in Hugging
            Face's `squad`; or one text. An empty list means that the context holds no answer.

    Raises:
        ValueError: there are no answers at all, or one is not to be found.
    """
    return [_mended(text.strip(), start, context) for text, start in _pairs(given)]


def exact_match(prediction: str, answers: Sequence[str]) -> float:
    """1 if the prediction is one of the answers but for case, punctuation, articles and white space, else 0."""
    return float(any(normalised(prediction) == normalised(answer) for answer in answers or [""]))


def f1(prediction: str, answers: Sequence[str]) -> float:
    """The largest harmonic mean of precision and recall in words, over the answers."""
    return max(_f1(normalised(prediction).split(), normalised(answer).split()) for answer in answers or [""])


def normalised(text: str) -> str:
    """Small letters, without punctuation and English articles, single spaces."""
    return " ".join(ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split())


def _f1(predicted: list[str], actual: list[str]) -> float:
    if not predicted or not actual:  # no answer is right where there is none
        return float(predicted == actual)
    common = sum((Counter(predicted) & Counter(actual)).values())
    return 2 * common / (len(predicted) + len(actual))


def _pairs(given: Any) -> list[tuple[str, int | None]]:
    """Text and place of each answer; None where no place is given."""
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


def _mended(text: str, start: int | None, context: str) -> Answer:
    if not text:
        raise ValueError("an answer is empty")
    if start is not None and start >= 0 and context.startswith(text, start):
        return {"text": text, "start": start}
    if context.count(text) != 1:
        stands = f"does not stand at {start}, but " if start is not None else "stands "
        raise ValueError(f"the answer {text[:60]!r} {stands}{context.count(text)} times in the context")
    return {"text": text, "start": context.index(text)}
