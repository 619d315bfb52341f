"""Training a system: from packed shards to a network, on the features of a frozen base where there is one."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tidemill.core.spec import Spec
from tidemill.models.common import networks
from tidemill.models.common.choices import DEFAULT_LOSS
from tidemill.models.common.params import ModelParams
from tidemill.tasks.common import learning
from tidemill.tasks.common.learning import LearningPart
from tidemill.tokens.batches import Batches
from tidemill.tokens.shards import MemoryShards, Shards, windows
from tidemill.tracking.points import Point, Report
from tidemill.training import bagging, determinism, features, fingerprint, reading
from tidemill.training.fit import fit
from tidemill.training.outcome import Outcome
from tidemill.training.params import Training
from tidemill.training.privacy import PoissonBatches
from tidemill.training.solve import solve

MEASURED = 128
"""Rows of a batch in which the weights of a solver are measured."""
VALIDATION_BATCHES = 4
"""Validation batches are that many times as large as those of training: they need no gradients."""


def train_system(
    task: str,
    model: ModelParams,
    params: Training,
    spec: Spec,
    tokens: Path,
    checkpoints: Path,
    report: Report,
    feature_cache: Path,
) -> Outcome:
    """Train a network on packed shards; resume from `checkpoints` if it holds any, which a solver writes none of.

    Args:
        task: name of the task.
        model: params of the network.
        tokens: folder of the packed shards of each split.
        report: called with new points of the curves after each checkpoint.
        feature_cache: folder for the features of a frozen base.

    Raises:
        TidemillError: pretrained weights are missing or are not the pinned ones, or the params do not fit the data.
    """
    part = learning.of(task)
    determinism.apply(params)
    rows = {split: _rows(part, tokens / split, spec) for split in ("train", "valid")}
    reading.check(params, spec, rows["valid"])

    def train(number: int, own: Training) -> Outcome:
        determinism.apply(own)

        def tell(points: Sequence[Point]) -> None:
            report([*bagging.named(points, number)])

        return _trained(task, model, own, spec, rows, checkpoints / str(number), tell, feature_cache)

    if params.bagging is None:
        outcome = _trained(task, model, params, spec, rows, checkpoints, report, feature_cache)
    else:
        outcome = bagging.bagged(params, reading.several(rows["valid"].columns["labels"]), train)
    found = reading.found(outcome.network, part, rows["valid"], params, spec)
    return replace(outcome, added={**outcome.added, **found})


def _trained(
    task: str,
    model: ModelParams,
    params: Training,
    spec: Spec,
    rows: dict[str, Shards | MemoryShards],
    checkpoints: Path,
    report: Report,
    feature_cache: Path,
) -> Outcome:
    part, network = learning.of(task), networks.begin(model, spec)
    checkpoints.mkdir(parents=True, exist_ok=True)
    sampled = params.bagging is not None and params.bagging.bootstrap
    if (solver := networks.module(model.name).solve) is not None:
        rows = rows | {"train": bagging.resampled(rows["train"], params.seed)} if sampled else rows
        settings = solver(network, rows["train"], rows["valid"], model, params.loss or DEFAULT_LOSS, params.seed)
        measured = {"train": Batches(rows["train"], MEASURED), "val": Batches(rows["valid"], MEASURED)}
        return solve(network, settings, learning.chosen(part, params.loss), measured, report)
    trained = network
    if (base := features.frozen_base(network)) is not None:
        code = fingerprint.code(task, model.name)
        rows = features.computed(base, part, params, rows, spec, code, feature_cache)
        trained = network.get_submodule("head")
    if sampled:  # after the features, which are cached for all members
        rows = rows | {"train": bagging.resampled(rows["train"], params.seed)}
    if params.privacy is None:
        train = Batches(rows["train"], params.batch, shuffle=True, seed=params.seed, bucket=part.BUCKET)
    else:
        train = PoissonBatches(rows["train"], params.batch, seed=params.seed)
    valid = Batches(rows["valid"], params.batch * VALIDATION_BATCHES)
    outcome = fit(trained, part, train, valid, params, checkpoints, report)
    return replace(outcome, network=network.cpu().eval())


def _rows(part: LearningPart, folder: Path, spec: Spec) -> Shards | MemoryShards:
    """Rows that batches are cut from: the packed ones, or windows over all of them."""
    if part.PACKED is None:
        return Shards(folder)
    return windows(Shards(folder), part.PACKED, spec["length"] + 1)
