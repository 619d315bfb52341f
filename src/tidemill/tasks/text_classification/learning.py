"""Learning: cross-entropy of the labels."""

from typing import TYPE_CHECKING

from tidemill.tasks.common import learning as common
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
    network: "torch.nn.Module", batch: common.Batch, label_smoothing: float
) -> tuple["torch.Tensor", dict[str, "torch.Tensor"]]:
    """Return the cross-entropy of the labels, and accuracy."""
    logits = network(*text_inputs(batch))
    loss = common.cross_entropy(logits, batch["labels"], label_smoothing)
    return loss, {"accuracy": common.accuracy(logits, batch["labels"])}
