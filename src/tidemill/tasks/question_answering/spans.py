"""Answers as spans of tokens: a question and its context cut into windows, and the best span over them.

A long context is read in windows that overlap, each with the whole question before it (Devlin et al., 2019):
`[CLS] question [SEP] part of the context [SEP]`. A window without the answer points at `[CLS]`.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tidemill.tokens.tokenizers import FIRST, LAST

if TYPE_CHECKING:
    import torch
    from tokenizers import Encoding, Tokenizer

SPECIAL = 3
"""Tokens of a window that are neither question nor context."""
GROUP = 32
"""Windows that are answered at once."""

Columns = dict[str, Any]


def encode(rows: pd.DataFrame, tokenizer: "Tokenizer", spec: dict[str, Any]) -> Columns:
    """The windows of each row, one after another, as columns of a shard.

    `tokens`, with the place of each in the context, from `begins` up to `ends` in characters; `windows`, the length of
    each; `head`, tokens before the context; `text`, the context in UTF-8; and, where the rows have answers, the places
    in each window where the answer `starts` and `stops`, both 0 where it holds none.
    """
    questions = tokenizer.encode_batch(rows["question"].tolist(), add_special_tokens=False)
    contexts = tokenizer.encode_batch(rows["context"].tolist(), add_special_tokens=False)
    answers = rows["answers"] if "answers" in rows else [None] * len(rows)
    parts = zip(questions, contexts, rows["context"], answers, strict=True)
    found = [_row(*part, tokenizer=tokenizer, spec=spec) for part in parts]
    columns: Columns = {name: [row[name] for row in found] for name in found[0]}
    return columns | {"head": np.array(columns["head"], np.int32)}


def _row(
    question: "Encoding", context: "Encoding", text: str, answers: Any, tokenizer: "Tokenizer", spec: dict[str, Any]
) -> Columns:
    first, last = (tokenizer.token_to_id(token) for token in (FIRST, LAST))
    head = [first, *question.ids[: spec["question"]], last]
    places = np.array(context.offsets, np.uint32).reshape(-1, 2)
    parts = list(_parts(len(context.ids), spec["length"] - len(head) - 1, spec["overlap"]))
    numbers = np.uint16 if spec["vocabulary"] <= 2**16 else np.uint32
    columns: Columns = {
        "tokens": np.concatenate([np.array([*head, *context.ids[part], last], numbers) for part in parts]),
        "begins": np.concatenate([_framed(places[part, 0], len(head)) for part in parts]),
        "ends": np.concatenate([_framed(places[part, 1], len(head)) for part in parts]),
        "windows": np.array([len(head) + len(places[part]) + 1 for part in parts], np.int32),
        "head": len(head),
        "text": np.frombuffer(text.encode(), np.uint8),
    }
    return columns if answers is None else columns | _targets(answers, places, parts, len(head))


def _parts(tokens: int, room: int, overlap: int) -> Iterator[slice]:
    """Parts of a context that fit a window; each begins with the last `overlap` tokens of the one before."""
    for start in range(0, max(1, tokens - overlap), room - overlap):
        yield slice(start, min(start + room, tokens))


def _framed(values: np.ndarray, head: int) -> np.ndarray:
    return np.pad(values, (head, 1))


def _targets(answers: Any, places: np.ndarray, parts: list[slice], head: int) -> Columns:
    first, last = _token_span(answers, places)
    moves = [head - part.start if part.start <= first <= last < part.stop else None for part in parts]
    spans = np.array([(0, 0) if move is None else (first + move, last + move) for move in moves], np.int32)
    return {"starts": spans[:, 0], "stops": spans[:, 1]}


def _token_span(answers: Any, places: np.ndarray) -> tuple[int, int]:
    """First and last token of the answer that most people gave; (-1, -1) where there is none."""
    spans = Counter((answer["start"], answer["start"] + len(answer["text"])) for answer in answers)
    if not spans:
        return -1, -1
    (begin, end), _ = spans.most_common(1)[0]
    first = int(np.searchsorted(places[:, 1], begin, side="right"))
    last = int(np.searchsorted(places[:, 0], end, side="left")) - 1
    return (first, last) if first <= last else (-1, -1)


@dataclass(frozen=True)
class Windows:
    """The windows of a batch: B rows have W windows of up to L tokens."""

    row: "torch.Tensor"
    """The row of each window (W,)."""
    tokens: "torch.Tensor"
    """(W, L), padded."""
    lengths: "torch.Tensor"
    """(W,)."""
    segments: "torch.Tensor"
    """0 for the question, 1 for the context (W, L)."""
    inside: "torch.Tensor"
    """Which tokens are not padding (W, L)."""
    context: "torch.Tensor"
    """Which tokens are of the context (W, L)."""


def unfolded(batch: dict[str, "torch.Tensor"]) -> Windows:
    """The windows of a batch of rows, each a row by itself."""
    import torch

    lengths = flat(batch, "windows")
    row = torch.arange(len(batch["windows"]), device=lengths.device).repeat_interleave(batch["windows_length"])
    place = torch.arange(int(lengths.max()), device=lengths.device)
    inside = place < lengths[:, None]
    after_head = place >= batch["head"][row][:, None]
    tokens = spread(flat(batch, "tokens"), inside)
    return Windows(
        row, tokens, lengths, (after_head & inside).long(), inside, after_head & (place < lengths[:, None] - 1)
    )


def flat(batch: dict[str, "torch.Tensor"], name: str) -> "torch.Tensor":
    """The values of a ragged column without their padding, one row after another."""
    import torch

    values = batch[name]
    place = torch.arange(values.shape[1], device=values.device)
    return values[place < batch[f"{name}_length"][:, None]]


def spread(values: "torch.Tensor", inside: "torch.Tensor") -> "torch.Tensor":
    """Values one after another, put where `inside` is true, row by row; 0 elsewhere."""
    return values.new_zeros(inside.shape).masked_scatter(inside, values)


def logits(network: "torch.nn.Module", windows: Windows) -> "torch.Tensor":
    """Logits of start and end (W, L, 2); windows of like length are answered together, so that few are padded."""
    import torch

    found = torch.zeros(*windows.tokens.shape, 2, device=windows.tokens.device)
    for group in torch.split(windows.lengths.argsort(stable=True), GROUP):
        longest = int(windows.lengths[group].max())
        part = (windows.tokens[group, :longest], windows.lengths[group], windows.segments[group, :longest])
        found[group, :longest] = network(*part).float()
    return found


@dataclass(frozen=True)
class Best:
    """The best span of each row, as places in its window; numpy arrays (B,)."""

    window: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    """The last token of the span."""
    none: np.ndarray
    """Whether it is likelier that there is no answer; always where the context has no token."""
    confidence: np.ndarray
    """The probability of what was chosen, among all that its window could have answered."""


def best(found: "torch.Tensor", windows: Windows, longest: int, may_be_none: bool) -> Best:
    """The likeliest span over all windows of each row, from logits (W, L, 2).

    A span's score is the sum of its two logits; a row has no answer where even the window that is least for it gives
    `[CLS]` a higher score than the best span has (Devlin et al., 2019, section 4.3).

    Args:
        longest: Tokens of the longest span.
    """
    import torch
    from torch.nn import functional

    starts, stops = found.masked_fill(~windows.context[..., None], -torch.inf).unbind(-1)
    reach = functional.pad(stops, (0, longest - 1), value=-torch.inf).unfold(1, longest, 1)  # (W, L, longest)
    scores = (starts[:, :, None] + reach).flatten(1)
    null = found[:, 0].sum(1)
    total = torch.cat([scores, null[:, None]], 1).logsumexp(1)
    score, place = scores.max(1)
    window, least = _first_of_each(windows.row, -score), _first_of_each(windows.row, null)
    none = torch.isinf(score[window]) | (may_be_none & (null[least] > score[window]))
    of_span, of_null = (score - total)[window], (null - total)[least]
    start, step = place[window] // longest, place[window] % longest
    confidence = torch.where(none, of_null, of_span).double().exp()
    return Best(*(part.cpu().numpy() for part in (window, start, start + step, none, confidence)))


def _first_of_each(row: "torch.Tensor", key: "torch.Tensor") -> "torch.Tensor":
    """The window with the lowest key of each row."""
    order = key.argsort(stable=True)
    order = order[row[order].argsort(stable=True)]
    first = row[order].diff(prepend=row.new_full((1,), -1)) > 0
    return order[first]
