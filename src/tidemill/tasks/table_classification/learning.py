"""Learning: cross-entropy of the labels."""

from typing import TYPE_CHECKING

from tidemill.tasks.common import learning as common
from tidemill.tokens.columns import column_inputs

if TYPE_CHECKING:
    import torch

BUCKET = None
PACKED = None
Augment = None
augment = None
features = None
LOSSES = None


def logits(network: "torch.nn.Module", batch: common.Batch) -> "torch.Tensor":
    """Return the logits of each row (B, outputs)."""
    found: torch.Tensor = network(*column_inputs(batch))
    return found


def step(
    network: "torch.nn.Module", batch: common.Batch, label_smoothing: float
) -> tuple["torch.Tensor", dict[str, "torch.Tensor"]]:
    """Return the cross-entropy of the labels, and accuracy."""
    found = logits(network, batch)
    loss = common.cross_entropy(found, batch["labels"], label_smoothing)
    return loss, {"accuracy": common.accuracy(found, batch["labels"])}
