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


def logits(network: "torch.nn.Module", batch: common.Batch) -> "torch.Tensor":
    """Return the logits of each text (B, outputs)."""
    found: torch.Tensor = network(*text_inputs(batch))
    return found


step = common.label_step(logits)
