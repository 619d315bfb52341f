"""Params of the train stage."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from tidemill.core.errors import TidemillError
from tidemill.core.params import PARAMS_FILE, Fraction, Params, checked, read_block
from tidemill.models.common.choices import Loss
from tidemill.tasks.common.learning import LearningPart


class Schedule(Params):
    """The learning rate over the steps: fixed, exponential decay per epoch, or linear warm-up and cosine."""

    name: Literal["fixed", "decay", "cosine"] = "fixed"
    warmup: Fraction = 0.0
    """Share of all steps over which the rate rises from 0 (cosine only)."""
    decay: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Factor after each epoch (decay only)."""
    floor: Fraction = 0.0
    """Share of the learning rate that remains at the end (cosine only)."""


class Privacy(Params):
    """Differential privacy of the training rows (DP-SGD): the ε that may be spent, or the noise that each step adds."""

    epsilon: Annotated[float, Field(gt=0)] | None = None
    """The ε that all epochs together may spend; the noise follows from it."""
    noise: Annotated[float, Field(gt=0)] | None = None
    """Instead of `epsilon`: standard deviation of the noise, in units of `clip`."""
    clip: Annotated[float, Field(gt=0)] = 1.0
    """Largest norm of the gradient of one row."""
    delta: Annotated[float, Field(gt=0, lt=1)] = 1e-5
    """Chance that the bound does not hold; it must be below one over the number of training rows."""

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if (self.epsilon is None) == (self.noise is None):
            raise ValueError("give either epsilon or noise")
        return self


FEWEST_PRIVATE = 64
"""Rows of a batch on average, at least, where each is drawn by chance: a batch of none then never comes."""


class Threshold(Params):
    """What a threshold is chosen for, on the validation rows."""

    metric: Literal["f1", "recall", "precision"] = "f1"
    """What is to be as high as possible, of the label in question."""
    least: Fraction | None = None
    """Of recall: the precision that it must keep; of precision: the recall. Where no threshold keeps it, the one that comes
    nearest is taken, and the training says so."""
    label: str | None = None
    """The label in question; null for every label where a row has several, else for the second of two in their order."""

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if (self.metric == "f1") != (self.least is None):
            raise ValueError(
                "least goes with recall, which would else predict all rows, or with precision; f1 has none"
            )
        return self


class Bagging(Params):
    """An ensemble of the model with itself: the mean of the probabilities of its members."""

    members: Annotated[int, Field(ge=2)]
    """How many are trained, one after another, each from a seed of its own."""
    bootstrap: bool = True
    """Whether each sees as many rows, drawn with replacement (bagging; Breiman, 1996), or all of them as they are (deep
    ensembles; Lakshminarayanan et al., 2017)."""


class Training(Params):
    """How the network is trained."""

    epochs: Annotated[int, Field(ge=1)] = 10
    """Passes over the training rows."""
    batch: Annotated[int, Field(ge=1)] = 32
    """Rows of a batch."""
    accumulate: Annotated[int, Field(ge=1)] = 1
    """Batches whose gradients are summed for one step: a larger batch than fits in memory."""
    optimizer: Literal["sgd", "adam", "adamw"] = "adam"
    """How a step follows from the gradients."""
    lr: Annotated[float, Field(gt=0)] = 1e-3
    """Learning rate at its highest; `schedule` lowers it."""
    momentum: Fraction = 0.0
    """For sgd only."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Weight decay as the optimizer defines it; for adamw decoupled from the gradients."""
    schedule: Schedule = Schedule()
    """How the learning rate changes over the steps."""
    clip: Annotated[float, Field(gt=0)] | None = None
    """Largest gradient norm; null does not clip."""
    loss: Loss | None = None
    """Of a number to be predicted: squared, absolute or Huber's; null is `squared`. Labels have their cross-entropy."""
    label_smoothing: Fraction = 0.0
    """Share of each target that is spread over all labels."""
    augment: Any = None
    """How training rows are changed at random in every epoch: the `Augment` of the task; null changes nothing."""
    privacy: Privacy | None = None
    """Bounds what the weights tell of any one training row; null bounds nothing."""
    patience: Annotated[int, Field(ge=1)] | None = None
    """Epochs without a lower validation loss before training stops early; null never stops early."""
    keep: Literal["last", "best"] = "best"
    """Which weights are kept: those of the last epoch, or of the epoch with the lowest validation loss."""
    calibrate: bool = False
    """Whether confidence is made to say how often a prediction is right: one temperature for all logits, fitted to the
    validation rows by likelihood (Guo et al., 2017). It leaves the likeliest label as it is."""
    bagging: Bagging | None = None
    """Whether several networks are trained and become one; null trains one."""
    threshold: Threshold | None = None
    """How the probability from which a label is predicted is chosen, for two labels or for several of a row; null predicts
    the likeliest label, or those that are likelier than not."""
    seed: int = 0
    """Of the initial weights and of every draw in training."""
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    """What to train on; `auto` takes a GPU where there is one."""
    precision: Literal["auto", "32", "bf16", "16"] = "32"
    """Number format of the arithmetic, by its bits; `bf16` and `16` keep the weights themselves in 32. `auto` is `bf16`
    where the processor or GPU computes in it, else `32`; the model's `config.json` says which it was."""
    """Bits of the arithmetic: float32, or mixed precision in bfloat16 or float16."""
    matmul: Literal["highest", "medium"] = "highest"
    """How torch may multiply float32 matrices. `medium` is faster on some CPUs and slower on others; where it is measured
    to be less exact than float32 (`training/matmul.py`), the training says so and uses `highest`."""
    determinism: Literal["bitwise", "tolerance", "fast"] = "bitwise"
    """What a repetition may differ by: nothing (`bitwise`), rounding (`tolerance`), or anything (`fast`)."""
    threads: Annotated[int, Field(ge=1)] = 1
    """CPU threads. They bear on the weights: a sum in another order ends in other bits. One is best for small networks and
    leaves the other cores to other stages."""
    save_every: Annotated[int, Field(ge=1)] = 200
    """Steps between two checkpoints: what a kill can lose."""
    log_every: Annotated[int, Field(ge=1)] = 20
    """Steps between two points of the training curve."""

    @model_validator(mode="after")
    def _fits_privacy(self) -> Self:
        """Refuse what privacy has in another way, or cannot have."""
        if self.privacy is None:
            return self
        if self.clip is not None:
            raise ValueError("clip is of the gradient of a batch: with privacy, set privacy.clip, that of each row")
        if self.bagging is not None:
            raise ValueError("each member of bagging would spend ε anew: leave bagging out")
        if self.accumulate != 1:
            raise ValueError("accumulate does not go with privacy: raise batch")
        if self.augment is not None:
            raise ValueError("augment may mix rows, and so does not go with privacy: set it to null")
        if self.precision != "32":
            raise ValueError("privacy clips and adds noise in float32: set precision to 32")
        if self.batch < FEWEST_PRIVATE:
            raise ValueError(f"with privacy, batch must be {FEWEST_PRIVATE} or more: rows are drawn by chance")
        return self


OF_SOLVER = {"bagging", "calibrate", "threshold", "loss", "seed"}
"""Params that a solver reads."""


def read_training(system: dict[str, Any], name: str, task: LearningPart, solved: bool) -> Training:
    """Check the training block of a system that `read_system` returned.

    Args:
        task: the learning part of the task.
        solved: whether a solver finds the weights of the model.

    Raises:
        TidemillError: the block is missing, or a param is unknown, of a wrong type, not read, or not for this task.
    """
    return completed(read_block(system, name, "training", Training), task, solved, f"systems.{name}")


def recorded(training: Training, solved: bool) -> dict[str, Any]:
    """Return the params as a run and a model record them: of a solver those that it reads, and that its weights are the
    same bits each time."""
    return training.model_dump(include=OF_SOLVER | {"determinism"} if solved else None)


def completed(training: Training, task: LearningPart, solved: bool, where: str) -> Training:
    """Return the training with its `augment` checked against what the task allows, if the model reads what it sets.

    Raises:
        TidemillError: the task has no augmentation or no labels, a param of it is unknown or of a wrong type, or a solver
            that finds the weights does not read a param.
    """
    if solved and (unread := sorted(training.model_fields_set - OF_SOLVER)):
        raise TidemillError(
            f"{PARAMS_FILE}: {where}.training.{unread[0]}: a solver finds the weights of this model, and reads only "
            f"{', '.join(sorted(OF_SOLVER))}: write `training: {{}}`"
        )
    of_labels = {"bagging": training.bagging, "calibrate": training.calibrate, "threshold": training.threshold}
    asked = [name for name, value in of_labels.items() if value]
    if asked and task.logits is None:
        raise TidemillError(f"{PARAMS_FILE}: {where}.training.{asked[0]}: this task gives no labels; leave it out")
    if solved and training.bagging is not None and not training.bagging.bootstrap:
        raise TidemillError(
            f"{PARAMS_FILE}: {where}.training.bagging.bootstrap: a solver finds the same weights from any seed: set it to true"
        )
    return with_augment(training, task.Augment, where)


def with_augment(training: Training, augment: type[Params] | None, where: str) -> Training:
    """Return the training with its `augment` checked against what the task allows.

    Raises:
        TidemillError: the task has no augmentation, or a param of it is unknown or of a wrong type.
    """
    if training.augment is None:
        return training
    if augment is None:
        raise TidemillError(f"{PARAMS_FILE}: {where}.training.augment: this task has no augmentation; write null")
    block = checked(augment, training.augment, f"{where}.training.augment")
    return training.model_copy(update={"augment": block})
