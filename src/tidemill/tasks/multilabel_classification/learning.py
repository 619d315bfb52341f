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


def step(
    network: "torch.nn.Module", batch: Batch, label_smoothing: float
) -> tuple["torch.Tensor", dict[str, "torch.Tensor"]]:
    """Return binary cross-entropy, the mean over rows and labels, and the share of rows whose labels are all right."""
    from torch.nn import functional

    logits = network(*text_inputs(batch))
    targets = batch["labels"].to(logits.dtype)
    smooth = targets * (1 - label_smoothing) + label_smoothing / 2
    right = ((logits > 0) == (targets > 0)).all(dim=1).float().mean()
    return functional.binary_cross_entropy_with_logits(logits, smooth), {"subset_accuracy": right}
