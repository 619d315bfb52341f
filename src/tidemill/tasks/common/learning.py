"""Learning of a task: the loss of a batch and, for some, augmentation. Imports torch only when it is called."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from tidemill.core import plugins
from tidemill.core.params import Params

if TYPE_CHECKING:
    import torch

Batch = dict[str, "torch.Tensor"]
"""The columns of a shard as tensors; a ragged column `x` is padded, with the lengths of its rows in `x_length`."""


class LearningPart(Protocol):
    """What `tasks/<task>/learning.py` defines."""

    BUCKET: str | None
    """The ragged column by whose length rows share a batch, or None."""
    PACKED: tuple[str, ...] | None
    """The ragged columns that are trained on end to end, in windows of `spec["length"] + 1` values, as far as the shards
    have them; or None."""
    Augment: type[Params] | None
    """Params of `augment`, as `training.augment`; None where the task has no augmentation."""
    augment: Callable[[Batch, Any], Batch] | None
    """Takes a training batch and `Augment`; returns the batch randomly changed. None where there is no augmentation."""
    features: "Callable[[torch.nn.Module, Batch], torch.Tensor] | None"
    """Takes a network's base and a batch; returns features (B, D) that `step` accepts as column `features`, so that a
    frozen base runs once. None where the task has no such base."""

    logits: "Callable[[torch.nn.Module, Batch], torch.Tensor] | None"
    """Takes a network and a batch; returns logits of the labels (B, outputs), by which confidence is calibrated and
    thresholds are chosen. None where the task gives no labels."""

    def step(
        self, network: "torch.nn.Module", batch: Batch, label_smoothing: float
    ) -> "tuple[torch.Tensor, dict[str, torch.Tensor]]":
        """Return the loss of a batch (the mean over its examples), and further metrics by name, e.g. accuracy."""


def of(task: str) -> LearningPart:
    """Return the learning part of a task, by the task's name."""
    part: LearningPart = plugins.load("tasks", task, "learning")
    return part


def cross_entropy(logits: "torch.Tensor", labels: "torch.Tensor", smoothing: float) -> "torch.Tensor":
    """Return the mean cross-entropy, in nats, of logits (B, outputs); binary for a single sigmoid output.

    Label smoothing after Szegedy et al. (2016): a share of each target is spread over all labels.
    """
    from torch.nn import functional

    if logits.shape[1] > 1:
        return functional.cross_entropy(logits, labels, label_smoothing=smoothing)
    targets = labels.to(logits.dtype) * (1 - smoothing) + smoothing / 2
    return functional.binary_cross_entropy_with_logits(logits[:, 0], targets)


def accuracy(logits: "torch.Tensor", labels: "torch.Tensor") -> "torch.Tensor":
    """Return the share of rows whose likeliest label is their own."""
    predicted = (logits[:, 0] > 0).long() if logits.shape[1] == 1 else logits.argmax(dim=1)
    return (predicted == labels).float().mean()
