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


step = common.label_step(logits)
