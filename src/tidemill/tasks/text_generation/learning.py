"""Learning: cross-entropy of each next token, of conversations only of those of a response."""

from typing import TYPE_CHECKING

from tidemill.tasks.common.learning import Batch

if TYPE_CHECKING:
    import torch

BUCKET = None
PACKED = ("tokens", "counted")
Augment = None
augment = None
LOSSES = None
features = None
logits = None


def step(
    network: "torch.nn.Module", batch: Batch, label_smoothing: float
) -> tuple["torch.Tensor", dict[str, "torch.Tensor"]]:
    """Return the cross-entropy, in nats per token, of each token of the windows (B, length + 1) given those before it."""
    from torch.nn import functional

    tokens = batch["tokens"]
    logits = network(tokens[:, :-1])
    if "counted" in batch:
        return _of_counted(logits, tokens[:, 1:], batch["counted"][:, 1:] > 0, label_smoothing), {}
    loss = functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten(), label_smoothing=label_smoothing)
    return loss, {}


def _of_counted(
    logits: "torch.Tensor", tokens: "torch.Tensor", counted: "torch.Tensor", label_smoothing: float
) -> "torch.Tensor":
    """Return the mean cross-entropy of those tokens (B, T) that are counted (B, T); 0 where none is."""
    from torch.nn import functional

    total = functional.cross_entropy(logits[counted], tokens[counted], label_smoothing=label_smoothing, reduction="sum")
    return total / counted.sum().clamp(min=1)
