"""Learning: cross-entropy of each next token."""

from typing import TYPE_CHECKING

from tidemill.tasks.common.learning import Batch

if TYPE_CHECKING:
    import torch

BUCKET = None
PACKED = "tokens"
Augment = None
augment = None
features = None


def step(
    network: "torch.nn.Module", batch: Batch, label_smoothing: float
) -> tuple["torch.Tensor", dict[str, "torch.Tensor"]]:
    """Return the cross-entropy, in nats per token, of each token of the windows (B, length + 1) given those before it."""
    from torch.nn import functional

    tokens = batch["tokens"]
    logits = network(tokens[:, :-1])
    loss = functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten(), label_smoothing=label_smoothing)
    return loss, {}
