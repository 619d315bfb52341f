"""Learning of a task: the loss of a batch and, for some, augmentation. Imports torch only when it is called."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, get_args

from tidemill.core import plugins
from tidemill.core.errors import TidemillError
from tidemill.core.params import Params
from tidemill.models.common.choices import HUBER, Loss

if TYPE_CHECKING:
    import torch

Step = Callable[["torch.nn.Module", "Batch", float], "tuple[torch.Tensor, dict[str, torch.Tensor]]"]
"""Takes a network, a batch and a share of label smoothing; returns loss and metrics."""
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

    LOSSES: Mapping[Loss, Step] | None
    """What stands for `step` with each `training.loss`; None where the task has one loss only."""
    logits: "Callable[[torch.nn.Module, Batch], torch.Tensor] | None"
    """Takes a network and a batch; returns logits of the labels (B, outputs), by which confidence is calibrated and
    thresholds are chosen. None where the task gives no labels."""

    def step(
        self, network: "torch.nn.Module", batch: Batch, label_smoothing: float
    ) -> "tuple[torch.Tensor, dict[str, torch.Tensor]]":
        """Return the loss of a batch (the mean over its examples), and further metrics by name, e.g. accuracy."""


def chosen(part: LearningPart, loss: Loss | None) -> Step:
    """Return the step with a loss; None is the task's own.

    Raises:
        TidemillError: the task has no such loss.
    """
    if loss is None:
        return part.step
    if part.LOSSES is None:
        raise TidemillError(f"training.loss: {loss} is a loss of numbers, and this task predicts none: write null")
    return part.LOSSES[loss]


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


def label_step(logits: "Callable[[torch.nn.Module, Batch], torch.Tensor]") -> Step:
    """Return the step of a task that gives a row one label: its cross-entropy, and accuracy.

    Args:
        logits: that of the task.
    """
    return partial(_label_step, logits)


def number_losses(inputs: "Callable[[Batch], tuple[torch.Tensor, ...]]") -> Mapping[Loss, Step]:
    """Return the steps of a task that predicts numbers, by their loss.

    Args:
        inputs: what the network reads of a batch.
    """
    losses: tuple[Loss, ...] = get_args(Loss)
    return {loss: partial(_number_step, inputs, loss) for loss in losses}


def _label_step(
    logits: "Callable[[torch.nn.Module, Batch], torch.Tensor]",
    network: "torch.nn.Module",
    batch: Batch,
    label_smoothing: float,
) -> "tuple[torch.Tensor, dict[str, torch.Tensor]]":
    found = logits(network, batch)
    loss = cross_entropy(found, batch["labels"], label_smoothing)
    return loss, {"accuracy": accuracy(found, batch["labels"])}


def _number_step(
    inputs: "Callable[[Batch], tuple[torch.Tensor, ...]]",
    loss: Loss,
    network: "torch.nn.Module",
    batch: Batch,
    label_smoothing: float,
) -> "tuple[torch.Tensor, dict[str, torch.Tensor]]":
    """Return the loss of the predicted numbers, and their mean absolute error, both in standard deviations."""
    from torch.nn import functional

    predicted, target = network(*inputs(batch))[:, 0], batch["target"].float()
    absolute = functional.l1_loss(predicted, target)
    if loss == "absolute":
        return absolute, {"absolute_error": absolute}
    if loss == "huber":
        return functional.huber_loss(predicted, target, delta=HUBER), {"absolute_error": absolute}
    return functional.mse_loss(predicted, target), {"absolute_error": absolute}
