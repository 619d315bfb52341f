"""Prediction: the best span over all windows of a row.

Shapes: B rows, W windows in all of them, up to T tokens in a window.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tidemill.core import stopping
from tidemill.core.spec import Spec

if TYPE_CHECKING:
    import torch

    from tidemill.tokens.windows import Windows

Options = None
respond = None
stream = None

AT_ONCE = 32
"""Windows that the network reads at once."""


def outputs(network: "torch.nn.Module", batch: dict[str, "torch.Tensor"], spec: Spec) -> dict[str, Any]:
    """Return the answer, empty for none, with its probability and its characters `start` to `end` in the context."""
    from tidemill.tokens.windows import flat, spread, unfolded

    windows = unfolded(batch)
    best = best_spans(span_logits(network, windows), windows, spec["answer"], spec["may_be_none"])
    begins, ends = (spread(flat(batch, name), windows.inside).cpu().numpy() for name in ("begins", "ends"))
    start = np.where(best.none, -1, begins[best.window, best.start])
    end = np.where(best.none, -1, ends[best.window, best.stop])
    texts = [
        bytes(row[:size]).decode() for row, size in zip(batch["text"].cpu().numpy(), batch["text_length"], strict=True)
    ]
    answers = [whole[max(0, first) : max(0, last)] for whole, first, last in zip(texts, start, end, strict=True)]
    return {"prediction": answers, "confidence": best.confidence, "start": start, "end": end}


def span_logits(network: "torch.nn.Module", windows: "Windows") -> "torch.Tensor":
    """Return logits of start and stop (W, T, 2); windows of similar length share a batch, so that few are padded."""
    import torch

    found = torch.zeros(*windows.tokens.shape, 2, device=windows.tokens.device)
    for group in torch.split(windows.lengths.argsort(stable=True), AT_ONCE):
        stopping.point()
        longest = int(windows.lengths[group].max())
        part = (windows.tokens[group, :longest], windows.lengths[group], windows.segments[group, :longest])
        found[group, :longest] = network(*part).float()
    return found


@dataclass(frozen=True)
class BestSpans:
    """The best span of each row, as places in its window; numpy arrays (B,)."""

    window: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    """The last token of the span."""
    none: np.ndarray
    """Whether it is likelier that there is no answer; always where the context has no token."""
    confidence: np.ndarray
    """The probability of what was chosen, among all that its window could have given."""


def best_spans(logits: "torch.Tensor", windows: "Windows", longest: int, may_be_none: bool) -> BestSpans:
    """Return the likeliest span over all windows of each row, from logits (W, T, 2).

    A span's score is the sum of its two logits; a row has no answer where even the window with the lowest score of
    `[CLS]` scores it higher than the best span (Devlin et al., 2019, section 4.3).

    Args:
        longest: tokens of the longest span.
    """
    import torch
    from torch.nn import functional

    starts, stops = logits.masked_fill(~windows.context[..., None], -torch.inf).unbind(-1)
    reach = functional.pad(stops, (0, longest - 1), value=-torch.inf).unfold(1, longest, 1)  # (W, T, longest)
    scores = (starts[:, :, None] + reach).flatten(1)
    null = logits[:, 0].sum(1)
    total = torch.cat([scores, null[:, None]], 1).logsumexp(1)
    score, place = scores.max(1)
    window, least = _lowest_of_each(windows.row, -score), _lowest_of_each(windows.row, null)
    none = torch.isinf(score[window]) | (may_be_none & (null[least] > score[window]))
    of_span, of_null = (score - total)[window], (null - total)[least]
    start, step = place[window] // longest, place[window] % longest
    confidence = torch.where(none, of_null, of_span).double().exp()
    return BestSpans(*(part.cpu().numpy() for part in (window, start, start + step, none, confidence)))


def _lowest_of_each(row: "torch.Tensor", values: "torch.Tensor") -> "torch.Tensor":
    """Return the window with the lowest value for each row (B,), by the row and the value of each window (W,)."""
    order = values.argsort(stable=True)
    order = order[row[order].argsort(stable=True)]
    first = row[order].diff(prepend=row.new_full((1,), -1)) > 0
    return order[first]
