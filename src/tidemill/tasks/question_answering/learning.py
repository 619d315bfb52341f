"""Learning: cross-entropy of where the answer starts and where it stops."""

from typing import TYPE_CHECKING

from tidemill.tasks.common.learning import Batch

if TYPE_CHECKING:
    import torch

BUCKET = "tokens"
PACKED = None
Augment = None
augment = None
features = None


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
