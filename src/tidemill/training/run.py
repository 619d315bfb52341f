"""Training a system: from packed shards to a network, on the features of a frozen base where there is one."""

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
from tidemill.tracking.points import Report
from tidemill.training import determinism, features, fingerprint
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
    checkpoints.mkdir(parents=True, exist_ok=True)
    determinism.apply(params)
    network = trained = networks.begin(model, spec)
    rows = {split: _rows(part, tokens / split, spec) for split in ("train", "valid")}
    if (solver := networks.module(model.name).solve) is not None:
        settings = solver(network, rows["train"], rows["valid"], model, params.loss or DEFAULT_LOSS, params.seed)
        measured = {"train": Batches(rows["train"], MEASURED), "val": Batches(rows["valid"], MEASURED)}
        return solve(network, settings, learning.chosen(part, params.loss), measured, report)
    if (base := features.frozen_base(network)) is not None:
        code = fingerprint.code(task, model.name)
        rows = features.computed(base, part, params, rows, spec, code, feature_cache)
        trained = network.get_submodule("head")
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
