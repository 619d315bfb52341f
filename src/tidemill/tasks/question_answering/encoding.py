"""Encoding: a question and its context cut into windows of tokens.

A long context is read in windows that overlap, each with the whole question before it (Devlin et al., 2019), framed as
the tokenizer frames a pair of texts, e.g. `[CLS] question [SEP] part of the context [SEP]`. A window without the answer
points at its first token.
"""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from tidemill.core.errors import TidemillError
from tidemill.core.params import Params
from tidemill.core.pinned import PinnedFile
from tidemill.core.spec import Kind, Spec
from tidemill.tasks.common.encoding import token_dtype
from tidemill.tokens import pairs, tokenizers

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

KINDS: tuple[Kind, ...] = (("token windows", "span"),)
SPECIAL = 3
"""Tokens of a window that are neither question nor context."""

Columns = dict[str, Any]


class Tokenize(Params):
    """How a question and its context become windows of tokens."""

    tokenizer: PinnedFile
    """Folder or hub id of a tokenizer: any `tokenizer.json`, or BERT's `vocab.txt`."""
    length: int = Field(default=384, ge=8)
    """Tokens of a window."""
    overlap: int = Field(default=128, ge=0)
    """Tokens of the context that two windows share."""
    question: int = Field(default=64, ge=1)
    """Tokens of a question that are kept."""
    answer: int = Field(default=30, ge=1)
    """Tokens of the longest answer."""

    @model_validator(mode="after")
    def _leaves_room(self) -> "Tokenize":
        if self.length <= self.question + SPECIAL + self.overlap:
            raise ValueError(f"length {self.length} leaves no room for more than question and overlap")
        return self


def kind(params: Tokenize) -> Kind:
    """Return the one kind of the task."""
    return KINDS[0]


def fit(blocks: Iterator[pd.DataFrame], params: Tokenize) -> "Tokenizer":
    """Return the tokenizer that the params name: a pretrained network knows the tokens of no other.

    Raises:
        TidemillError: it is missing, damaged or not the pinned one.
    """
    return tokenizers.read(params.tokenizer)


def specify(blocks: Iterator[pd.DataFrame], params: Tokenize, tokenizer: "Tokenizer") -> Spec:
    """Return vocabulary size, the sizes of the windows, and whether some questions have no answer.

    Raises:
        TidemillError: the tokens that this tokenizer adds leave no room for the context.
    """
    frame = pairs.frame(tokenizer)
    added = len(frame.head([])) + len(frame.after)
    if params.length <= params.question + added + params.overlap:
        raise TidemillError(
            f"tokenize.length {params.length} leaves no room for more than question, overlap and the {added} tokens that "
            "this tokenizer adds"
        )
    return {
        "vocabulary": tokenizers.size(tokenizer),
        "token_outputs": 2,
        "may_be_none": any((block["answers"].map(len) == 0).any() for block in blocks),
        "length": params.length,
        "overlap": params.overlap,
        "question": params.question,
        "answer": params.answer,
    }


def encode(rows: pd.DataFrame, tokenizer: "Tokenizer", spec: Spec) -> Columns:
    """Return the windows of each row, one after another, as columns of a shard.

    `tokens`, with the segment of each, and its place in the context, from `begins` up to `ends` in characters, without
    space around it; `windows`, the length of each; `head` and `tail`, tokens before and after the context; `text`, the
    context in UTF-8; and, where the rows have answers, the places in each window where the answer `starts` and `stops`,
    both 0 where it holds none.
    """
    frame = pairs.frame(tokenizer)
    questions = tokenizer.encode_batch(rows["question"].tolist(), add_special_tokens=False)
    contexts = tokenizer.encode_batch(rows["context"].tolist(), add_special_tokens=False)
    answers = rows["answers"] if "answers" in rows else [None] * len(rows)
    parts = zip(questions, contexts, rows["context"], answers, strict=True)
    found = [_row(*part, frame=frame, spec=spec) for part in parts]
    columns: Columns = {name: [row[name] for row in found] for name in found[0]}
    return columns | {name: np.array(columns[name], np.int32) for name in ("head", "tail")}


def _row(question: "Encoding", context: "Encoding", text: str, answers: Any, frame: pairs.Frame, spec: Spec) -> Columns:
    asked, after = question.ids[: spec["question"]], frame.after
    head = frame.head(asked)
    places = _trimmed(np.array(context.offsets, np.uint32).reshape(-1, 2), text)
    parts = list(_parts(len(context.ids), spec["length"] - len(head) - len(after), spec["overlap"]))
    dtype, around = token_dtype(spec), (len(head), len(after))
    columns: Columns = {
        "tokens": np.concatenate([np.array([*head, *context.ids[part], *after], dtype) for part in parts]),
        "segments": np.concatenate([frame.types_of(len(asked), len(places[part])) for part in parts]),
        "begins": np.concatenate([np.pad(places[part, 0], around) for part in parts]),
        "ends": np.concatenate([np.pad(places[part, 1], around) for part in parts]),
        "windows": np.array([sum(around) + len(places[part]) for part in parts], np.int32),
        "head": len(head),
        "tail": len(after),
        "text": np.frombuffer(text.encode(), np.uint8),
    }
    return columns if answers is None else columns | _targets(answers, places, parts, len(head))


def _parts(tokens: int, room: int, overlap: int) -> Iterator[slice]:
    """Yield the parts of a context that fit a window; each begins with the last `overlap` tokens of the one before."""
    for start in range(0, max(1, tokens - overlap), room - overlap):
        yield slice(start, min(start + room, tokens))


def _trimmed(places: np.ndarray, text: str) -> np.ndarray:
    """Return where each token begins and ends (T, 2) without the space that some tokenizers count to it."""
    ink = np.flatnonzero([not character.isspace() for character in text])
    if not len(ink):
        return places
    first = np.searchsorted(ink, places[:, 0])
    begins = np.minimum(ink[first.clip(max=len(ink) - 1)], places[:, 1])
    last = np.searchsorted(ink, places[:, 1]) - 1
    ends = np.maximum(ink[last.clip(min=0)] + 1, begins)
    return np.stack([begins, np.minimum(ends, places[:, 1])], axis=1).astype(places.dtype)


def _targets(answers: Any, places: np.ndarray, parts: list[slice], head: int) -> Columns:
    first, last = _token_span(answers, places)
    moves = [head - part.start if part.start <= first <= last < part.stop else None for part in parts]
    spans = np.array([(0, 0) if move is None else (first + move, last + move) for move in moves], np.int32)
    return {"starts": spans[:, 0], "stops": spans[:, 1]}


def _token_span(answers: Any, places: np.ndarray) -> tuple[int, int]:
    """Return first and last token of the answer that most annotators gave; (-1, -1) where there is none."""
    spans = Counter((answer["start"], answer["start"] + len(answer["text"])) for answer in answers)
    if not spans:
        return -1, -1
    (begin, end), _ = spans.most_common(1)[0]
    first = int(np.searchsorted(places[:, 1], begin, side="right"))
    last = int(np.searchsorted(places[:, 0], end, side="left")) - 1
    return (first, last) if first <= last else (-1, -1)
