"""Training a network, or resuming a training that was killed."""

import logging
import shutil
import warnings
from pathlib import Path
from zipfile import ZipFile

import pytorch_lightning as lightning
import torch
from pytorch_lightning.callbacks import EarlyStopping

from tidemill.tasks.common.learning import LearningPart
from tidemill.tokens.batches import Batches
from tidemill.tracking.points import Report
from tidemill.training import memory
from tidemill.training.callbacks import BestWeights, Checkpoints, Curve, Progress
from tidemill.training.learner import Learner
from tidemill.training.outcome import Outcome
from tidemill.training.params import Training
from tidemill.training.privacy import PoissonBatches, Private
from tidemill.training.utilisation import mfu

PRECISIONS = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}
LAST, BEST = "last.ckpt", "best.safetensors"


def resumable(folder: Path) -> bool:
    """Return whether the folder has a checkpoint to resume from; one that was damaged is removed, and a line says so."""
    last = folder / LAST
    if not last.exists() or _is_whole(last):
        return last.exists()
    print(f"{last} is damaged: the training starts again", flush=True)
    shutil.rmtree(folder)
    return False


def _is_whole(checkpoint: Path) -> bool:
    """Whether the checksums in a file of torch's are those of its content: torch writes them and never looks at them."""
    try:
        with ZipFile(checkpoint) as archive:
            return archive.testzip() is None
    except Exception:  # a wrong byte may be in any field that is read
        return False


def fit(
    network: torch.nn.Module,
    task: LearningPart,
    train: Batches,
    valid: Batches,
    params: Training,
    folder: Path,
    report: Report,
) -> Outcome:
    """Train the network; checkpoints go to `folder`, and training resumes from the last one there.

    Call `determinism.apply` before the network is built: its initial weights are drawn from the seed as well.

    Args:
        report: called with new points of the curves after each checkpoint.
    """
    _quieten()
    memory.keep_freed()
    folder.mkdir(parents=True, exist_ok=True)
    curve, best = Curve(params.log_every, report), BestWeights(folder / BEST)
    progress = Progress(params.batch * params.accumulate, params.epochs)
    checkpoints = Checkpoints(folder / LAST, params.save_every, curve, train)
    private = _private(network, params, train)
    callbacks = [curve, best, *_early_stop(params), progress, checkpoints, *filter(None, [private])]
    trainer = _trainer(params, callbacks, folder)
    learner = Learner(network, task, params, -(-len(train) // params.accumulate), private)
    last = folder / LAST
    trainer.fit(learner, train, valid, ckpt_path=last if last.exists() else None, weights_only=True)
    curve.flush()
    if params.keep == "best":
        best.restore(network)
    kept = best.epoch + 1 if params.keep == "best" else trainer.current_epoch
    device = _device(trainer)
    return Outcome(
        network.cpu().eval(),
        curve.points,
        epochs=trainer.current_epoch,
        kept_epoch=kept,
        rows_per_second=progress.rows_per_second,
        tokens_per_second=progress.tokens_per_second,
        mfu=mfu(network, progress.tokens_per_second, device, params),
        device=device,
        privacy=None if private is None else private.spent,
    )


def _private(network: torch.nn.Module, params: Training, train: Batches) -> Private | None:
    if params.privacy is None:
        return None
    assert isinstance(train, PoissonBatches), "the bound is that of rows drawn by chance"
    return Private(network, params.privacy, train, params.epochs)


def _device(trainer: lightning.Trainer) -> str:
    device = trainer.strategy.root_device
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


class _EarlyStop(EarlyStopping):
    """Lightning's early stopping, which forgets on resuming that it had stopped already."""

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        trainer.should_stop = trainer.should_stop or self.wait_count >= self.patience


def _early_stop(params: Training) -> list[lightning.Callback]:
    return [] if params.patience is None else [_EarlyStop("val/loss", patience=params.patience, verbose=False)]


def _trainer(params: Training, callbacks: list[lightning.Callback], folder: Path) -> lightning.Trainer:
    return lightning.Trainer(
        accelerator=params.accelerator,
        devices=1,
        precision=PRECISIONS[params.precision],  # type: ignore[arg-type]
        max_epochs=params.epochs,
        gradient_clip_val=params.clip,
        accumulate_grad_batches=params.accumulate,
        deterministic=params.determinism == "bitwise",
        callbacks=callbacks,
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )


def _quieten() -> None:
    """Silence Lightning's advice on loaders and loggers, which are replaced on purpose."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",
        ".*`val_dataloader`.*",
        ".*mid-epoch.*",
        ".*isinstance.*LeafSpec.*",
        ".*in eval mode at the start of training.*",
        ".*Full backward hook is firing.*",
    ):
        warnings.filterwarnings("ignore", message)
