"""Learning: binary cross-entropy of each label."""

from typing import TYPE_CHECKING

from tidemill.tasks.common.learning import Batch
from tidemill.tokens.texts import text_inputs

if TYPE_CHECKING:
    import torch

BUCKET = "tokens"
PACKED = None
Augment = None
augment = None
LOSSES = None
features = None


def logits(network: "torch.nn.Module", batch: Batch) -> "torch.Tensor":
    """Return the logits of each text (B, labels)."""
    found: torch.Tensor = network(*text_inputs(batch))
    return found


def step(
    network: "torch.nn.Module", batch: Batch, label_smoothing: float
) -> tuple["torch.Tensor", dict[str, "torch.Tensor"]]:
    """Return binary cross-entropy, the mean over rows and labels, and the share of rows whose labels are all right."""
    from torch.nn import functional

    found = logits(network, batch)
    targets = batch["labels"].to(found.dtype)
    smooth = targets * (1 - label_smoothing) + label_smoothing / 2
    right = ((found > 0) == (targets > 0)).all(dim=1).float().mean()
    return functional.binary_cross_entropy_with_logits(found, smooth), {"subset_accuracy": right}
