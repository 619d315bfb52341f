"""Learning: cross-entropy of where the answer starts and where it stops, on the context around it.

All random numbers come from torch's CPU generator, whose state is in the checkpoint.

Shapes: B rows, W windows in all of them, up to T tokens in a window.
"""

from typing import TYPE_CHECKING

from pydantic import Field

from tidemill.core.params import Params
from tidemill.tasks.common.learning import Batch

if TYPE_CHECKING:
    import torch

BUCKET = "tokens"
PACKED = None
LOSSES = None
features = None
logits = None
OF_TOKENS = ("tokens", "segments", "begins", "ends")
"""Columns with a value for each token of the windows."""


class Augment(Params):
    """How much of a context is read in training."""

    context: int = Field(ge=1)
    """Tokens of a context that are read, at random but with the answer; other ones in each epoch. Time goes by tokens, and
    more questions with less around their answers teach more in the same time."""


def augment(batch: Batch, params: Augment) -> Batch:
    """Return the batch with the context of each window cut to consecutive tokens, the whole answer among them."""
    import torch

    from tidemill.tokens.windows import flat, spread, unfolded

    windows = unfolded(batch)
    starts, stops = flat(batch, "starts"), flat(batch, "stops")
    head, end = batch["head"][windows.row], windows.lengths - batch["tail"][windows.row]
    first, last = _part(head, end, starts, stops, params.context)
    place = torch.arange(windows.tokens.shape[1], device=head.device)
    kept = windows.inside & ((place < head[:, None]) | (place >= first[:, None]))
    kept &= (place < last[:, None]) | (place >= end[:, None])
    sizes = torch.zeros_like(batch["tokens_length"]).index_add_(0, windows.row, kept.sum(1))
    inside = torch.arange(int(sizes.max()), device=head.device) < sizes[:, None]
    cut = {name: spread(spread(flat(batch, name), windows.inside)[kept], inside) for name in OF_TOKENS}
    cut |= {f"{name}_length": sizes for name in OF_TOKENS}
    of_windows = torch.arange(batch["windows"].shape[1], device=head.device) < batch["windows_length"][:, None]
    moved = torch.where(stops > 0, first - head, 0)
    values = {"windows": kept.sum(1), "starts": starts - moved, "stops": stops - moved}
    return batch | cut | {name: spread(value, of_windows) for name, value in values.items()}


def _part(
    head: "torch.Tensor", end: "torch.Tensor", starts: "torch.Tensor", stops: "torch.Tensor", tokens: int
) -> tuple["torch.Tensor", "torch.Tensor"]:
    """Return where a random part of each context begins and ends, all (W,); an answer that is longer is the part.

    Args:
        head: where the context begins in its window, and `end` where it ends.
        starts: the first token of the answer, and `stops` its last one; both 0 where there is none.
        tokens: those of the part.
    """
    import torch

    answered = stops > 0
    earliest, latest = torch.where(answered, starts, end), torch.where(answered, stops + 1, head)
    size = torch.minimum((latest - earliest).clamp(min=tokens), end - head)
    low, high = torch.maximum(head, latest - size), torch.minimum(earliest, end - size)
    first = low + (torch.rand(len(low)).to(low.device) * (high - low + 1)).long()
    return first, first + size


def step(
    network: "torch.nn.Module", batch: Batch, label_smoothing: float
) -> tuple["torch.Tensor", dict[str, "torch.Tensor"]]:
    """Return the mean cross-entropy of start and stop over the windows, and the share where both are right."""
    from tidemill.tokens.windows import flat, unfolded

    windows = unfolded(batch)
    logits = network(windows.tokens, windows.lengths, windows.segments).float()
    targets = [flat(batch, name) for name in ("starts", "stops")]
    losses = [_cross_entropy(logits[..., side], targets[side], windows.inside, label_smoothing) for side in (0, 1)]
    right = [
        logits[..., side].masked_fill(~windows.inside, -float("inf")).argmax(1) == targets[side] for side in (0, 1)
    ]
    return (losses[0] + losses[1]) / 2, {"span_accuracy": (right[0] & right[1]).float().mean()}


def _cross_entropy(
    logits: "torch.Tensor", targets: "torch.Tensor", inside: "torch.Tensor", smoothing: float
) -> "torch.Tensor":
    """Return the mean cross-entropy of places (W,) by logits (W, T), over the tokens that are not padding (W, T)."""
    surprise = -logits.masked_fill(~inside, -float("inf")).log_softmax(1)
    of_target = surprise.gather(1, targets[:, None])[:, 0]
    of_any = surprise.masked_fill(~inside, 0).sum(1) / inside.sum(1)
    return ((1 - smoothing) * of_target + smoothing * of_any).mean()
