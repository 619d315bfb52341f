"""Lightning callbacks: training curves, best weights, checkpoints that survive a kill, progress lines.

The state of each callback is in the checkpoint, so a resumed training equals one that never stopped.
"""

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
import torch
from safetensors.torch import load_file, save_file

from tidemill.core.errors import TidemillError
from tidemill.core.files import finished_file, sha256_file
from tidemill.tokens.batches import Batches
from tidemill.tracking.points import Point, Report


class Curve(lightning.Callback):
    """Every metric by step: means over `every` training steps, and validation after each epoch.

    The timestamps of points are in the checkpoint, so a point that is reported again is the same point.
    """

    def __init__(self, every: int, report: Report) -> None:
        self.every, self.report = every, report
        self.points: list[Point] = []
        self.sums: dict[str, torch.Tensor] = {}
        self.steps = self.reported = 0

    def on_train_batch_end(self, trainer: Any, learner: Any, outputs: Any, batch: Any, number: int) -> None:
        """Add the metrics of the step, and take their mean after `every` steps."""
        for name, value in outputs.items():
            self.sums[name] = self.sums.get(name, 0.0) + value.detach()
        self.steps += 1
        if self.steps == self.every or trainer.is_last_batch:
            self._take_means(trainer)

    def on_validation_end(self, trainer: Any, learner: Any) -> None:
        """Take the metrics of the validation."""
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("val/")}
        self._add(metrics, trainer.global_step)

    def flush(self) -> None:
        """Report the points that were not reported yet; called once a checkpoint holds them, so a kill loses none."""
        self.report(self.points[self.reported :])
        self.reported = len(self.points)

    def state_dict(self) -> dict[str, Any]:
        """Return the points as plain tuples, and the running sums."""
        points = [tuple(point) for point in self.points]
        return {"points": points, "sums": self.sums, "steps": self.steps, "reported": self.reported}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume the curve."""
        self.points = [Point(*point) for point in state["points"]]
        self.sums, self.steps, self.reported = state["sums"], state["steps"], state["reported"]

    def _take_means(self, trainer: Any) -> None:
        means = {f"train/{name}": float(total) / self.steps for name, total in self.sums.items()}
        self._add(means | {"train/lr": trainer.optimizers[0].param_groups[0]["lr"]}, trainer.global_step)
        self.sums, self.steps = {}, 0

    def _add(self, metrics: dict[str, float], step: int) -> None:
        now = time.time_ns() // 1_000_000
        self.points += [Point(name, value, step, now) for name, value in metrics.items()]


class BestWeights(lightning.Callback):
    """Keeps the weights of the epoch with the lowest validation loss in a file beside the checkpoint."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lowest = float("inf")
        self.epoch = -1
        self.sha256: str | None = None

    def on_validation_end(self, trainer: Any, learner: Any) -> None:
        """Save the weights if their loss is the lowest so far."""
        loss = float(trainer.callback_metrics["val/loss"])
        if loss < self.lowest:
            self.lowest, self.epoch = loss, trainer.current_epoch
            with finished_file(self.path) as partial:
                save_file(_own_storage(learner.network.state_dict()), partial)
            self.sha256 = sha256_file(self.path)

    def restore(self, network: torch.nn.Module) -> None:
        """Load the best weights into the network.

        Raises:
            TidemillError: the file is not what was saved.
        """
        if self.sha256 not in (None, sha256_file(self.path)):
            raise TidemillError(
                f"{self.path} is damaged: remove {self.path.parent}, and run again to train from the start"
            )
        network.load_state_dict(load_file(self.path))

    def state_dict(self) -> dict[str, Any]:
        """Return the lowest loss, its epoch, and the hash of the file."""
        return {"lowest": self.lowest, "epoch": self.epoch, "sha256": self.sha256}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume with them."""
        self.lowest, self.epoch, self.sha256 = state["lowest"], state["epoch"], state.get("sha256")


class Checkpoints(lightning.Callback):
    """Saves the whole state of a training every `every` steps and after each epoch, then flushes the curve.

    Lightning leaves out two things that are saved here: the states of the random number generators, without which a
    resumed dropout would differ, and the position in the batches, which it forgets if an epoch had just ended.
    """

    def __init__(self, path: Path, every: int, curve: Curve, batches: Batches) -> None:
        self.path, self.every, self.curve, self.batches = path, every, curve, batches

    def on_train_batch_end(self, trainer: Any, learner: Any, outputs: Any, batch: Any, number: int) -> None:
        """Save every `every` steps; the last step of an epoch is saved together with its validation instead."""
        stepped = (number + 1) % trainer.accumulate_grad_batches == 0
        if stepped and trainer.global_step % self.every == 0 and not trainer.is_last_batch:
            self._save(trainer)

    def on_train_epoch_end(self, trainer: Any, learner: Any) -> None:
        """Save after the epoch and its validation."""
        self._save(trainer)

    def state_dict(self) -> dict[str, Any]:
        """Return the states of the random number generators and the position in the batches."""
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        return {"cpu": torch.get_rng_state(), "cuda": cuda, "batches": self.batches.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore them."""
        self.batches.load_state_dict(state["batches"])
        torch.set_rng_state(state["cpu"])
        if state["cuda"] and torch.cuda.is_available():
            torch.cuda.set_rng_state_all(state["cuda"])

    def _save(self, trainer: Any) -> None:
        with finished_file(self.path) as partial:
            trainer.save_checkpoint(partial)
            _flush_to_disk(partial)
        self.curve.flush()


class Progress(lightning.Callback):
    """Prints a line every few seconds, fewer in a log: step, loss, accuracy, rows/s, seconds left."""

    def __init__(self, rows_per_batch: int, epochs: int) -> None:
        self.rows_per_batch, self.epochs = rows_per_batch, epochs
        self.seconds = 2.0 if sys.stdout.isatty() else 10.0
        self.started = self.printed = time.monotonic()
        self.first_step = self.done = 0
        self.tokens: torch.Tensor | int = 0

    def on_train_start(self, trainer: Any, learner: Any) -> None:
        """Start counting here, which is not step 0 in a resumed training."""
        self.started, self.first_step = time.monotonic(), trainer.global_step
        if self.first_step:
            print(f"resumed from step {self.first_step}", flush=True)

    def on_train_batch_end(self, trainer: Any, learner: Any, outputs: Any, batch: Any, number: int) -> None:
        """Count the tokens of the batch, and print a line if it is time for one."""
        self.tokens = self.tokens + _tokens(batch)
        if time.monotonic() - self.printed >= self.seconds:
            self._print(trainer, outputs)

    def on_validation_end(self, trainer: Any, learner: Any) -> None:
        """Print the metrics of the validation."""
        self._print(trainer, trainer.callback_metrics)

    @property
    def rows_per_second(self) -> float:
        """Rows trained on per second since the training started or resumed."""
        return self.rows_per_batch * self.done / max(1e-9, self.printed - self.started)

    @property
    def tokens_per_second(self) -> float:
        """Tokens trained on per second, without padding; 0 where the rows have none."""
        return float(self.tokens) / max(1e-9, self.printed - self.started)

    def _print(self, trainer: Any, metrics: Mapping[str, Any]) -> None:
        self.printed, self.done = time.monotonic(), trainer.global_step - self.first_step
        total = -(-trainer.num_training_batches // trainer.accumulate_grad_batches) * self.epochs
        left = (total - trainer.global_step) * (self.printed - self.started) / max(1, self.done)
        place = f"epoch {trainer.current_epoch + 1}/{self.epochs} step {trainer.global_step}/{total}"
        shown = " ".join(f"{name} {float(value):.4f}" for name, value in metrics.items())
        print(f"{place} {shown} · {self.rows_per_second:,.0f} rows/s · {left:.0f} s left", flush=True)


def _tokens(batch: dict[str, torch.Tensor]) -> torch.Tensor | int:
    """Count the tokens that the network reads: without padding, and without the last of a window, which is only predicted."""
    if "tokens_length" in batch:
        return batch["tokens_length"].sum()
    return batch["tokens"][:, :-1].numel() if "tokens" in batch else 0


def _own_storage(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in weights.items()}


def _flush_to_disk(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
