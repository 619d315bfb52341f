"""Learning: the error of the predicted number."""

from typing import TYPE_CHECKING

from tidemill.models.common.choices import DEFAULT_LOSS
from tidemill.tasks.common import learning as common
from tidemill.tokens.pixels import scaled

if TYPE_CHECKING:
    import torch

BUCKET = None
PACKED = None
Augment = None
augment = None


def features(base: "torch.nn.Module", batch: common.Batch) -> "torch.Tensor":
    """Return the features (B, D) that the base of a network computes of each picture."""
    found: torch.Tensor = base(scaled(batch["pixels"]))
    return found


def _inputs(batch: common.Batch) -> "tuple[torch.Tensor]":
    return (batch["features"] if "features" in batch else scaled(batch["pixels"]),)


logits = None
LOSSES = common.number_losses(_inputs)
step = LOSSES[DEFAULT_LOSS]
