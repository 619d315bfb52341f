"""A task and a network as Lightning trains them."""

from typing import Any

import pytorch_lightning as lightning
import torch

from tidemill.tasks.common import learning
from tidemill.tasks.common.learning import LearningPart
from tidemill.training import schedules
from tidemill.training.params import Training
from tidemill.training.privacy import Private


class Learner(lightning.LightningModule):
    """One step is one batch; the task defines the loss.

    `self.log` is used in validation only: in training it costs as much as a small network's step.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        task: LearningPart,
        params: Training,
        steps_per_epoch: int,
        private: Private | None = None,
    ) -> None:
        super().__init__()
        self.network, self.task, self.params, self.steps_per_epoch = network, task, params, steps_per_epoch
        self.private = private
        self.step = learning.chosen(task, params.loss)

    def training_step(self, batch: dict[str, torch.Tensor], number: int) -> dict[str, torch.Tensor]:
        """Return the loss to minimise and further metrics of the batch."""
        if self.task.augment is not None and self.params.augment is not None:
            batch = self.task.augment(batch, self.params.augment)
        loss, metrics = self.step(self.network, batch, self.params.label_smoothing)
        return {"loss": loss, **metrics}

    def validation_step(self, batch: dict[str, torch.Tensor], number: int) -> None:
        """Log the loss without label smoothing, and further metrics, as means over all validation rows."""
        loss, metrics = self.step(self.network, batch, 0.0)
        rows = len(next(iter(batch.values())))
        self.log_dict({f"val/{name}": value for name, value in {"loss": loss, **metrics}.items()}, batch_size=rows)

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Clip here: Lightning refuses to with a fused optimizer under any mixed precision, though only float16 scales gradients."""
        if gradient_clip_val is not None:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), gradient_clip_val)

    def configure_optimizers(self) -> Any:
        """Optimizer and schedule of `training` in params.yaml."""
        optimizer = schedules.optimizer(self.network.parameters(), self.params)
        if self.private is not None:
            optimizer = self.private.optimizer(optimizer)
        schedule = schedules.schedule(optimizer, self.params.schedule, self.steps_per_epoch, self.params.epochs)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
