"""Packed shards → weights, in one MLflow run that a killed training goes on with."""

import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipelines import artifacts, stage
from tidemill import models, tasks
from tidemill.config import System, load_system
from tidemill.files import finished_folder, read_json, sha256_file, write_json
from tidemill.registry.tracking import Point, training_run
from tidemill.tokens.batches import Batches
from tidemill.tokens.shards import MemoryShards, Shards, windows
from tidemill.training import determinism, features, saving, utilisation
from tidemill.training.callbacks import Report
from tidemill.training.fit import LAST, Outcome, fit
from tidemill.training.key import training_key

FEATURES = Path(".tidemill/features")
"""Where the features of frozen bases are kept, by system."""


@stage
def main(name: str) -> None:
    """Write `model/`, `metrics.json` and `curves.csv`; checkpoints live in `.tidemill/` until these are there."""
    system = load_system(name)
    tokens = artifacts(name, "tokenize")
    spec = read_json(tokens / "tokens.json")
    params = {part: getattr(system, part).model_dump() for part in ("tokenize", "model", "training")}
    key = training_key({"task": system.task, **params}, spec)
    checkpoints = Path(".tidemill/checkpoints") / name / key
    with training_run(name, key, params, resumed=(checkpoints / LAST).exists()) as run:
        started = time.monotonic()
        outcome = train_system(system, spec, tokens, checkpoints, run.log)
        seconds = time.monotonic() - started
        with finished_folder(artifacts(name, "train")) as folder:
            saving.save_model(folder / "model", outcome, system, spec, tokens / models.TOKENIZER)
            saving.save_curves(folder / "curves.csv", outcome.points)
            write_json(folder / "metrics.json", saving.summary(outcome))
            run.tag_weights(sha256_file(folder / "model" / models.WEIGHTS))
        run.log(_cost(outcome, seconds))
    shutil.rmtree(checkpoints.parent)


def _cost(outcome: Outcome, seconds: float) -> list[Point]:
    """What this process took; kept beside the run, since they are other figures each time."""
    figures = {
        "seconds": seconds,
        "peak_memory_mb": utilisation.peak_memory() / 1e6,
        "samples_per_second": outcome.rows_per_second,
        "tokens_per_second": outcome.tokens_per_second or None,
        "mfu": outcome.mfu,
    }
    now = time.time_ns() // 1_000_000
    return [Point(f"perf/{name}", value, 0, now) for name, value in figures.items() if value is not None]


def train_system(system: System, spec: dict[str, Any], tokens: Path, checkpoints: Path, report: Report) -> Outcome:
    """Train on the packed rows of `tokens`; `checkpoints` is gone on with if it has any."""
    task, params = tasks.load(system.task), system.training
    determinism.apply(params)
    network = trained = models.begin(system.model, spec)
    rows = {split: _rows(task, tokens / split, spec) for split in ("train", "valid")}
    if (base := features.frozen_base(network)) is not None:
        rows = features.computed(base, task, params, rows, spec, FEATURES / tokens.parent.name)
        trained = network.get_submodule("head")
    train = Batches(rows["train"], params.batch, shuffle=True, seed=params.seed, bucket=task.BUCKET)
    outcome = fit(trained, task, train, Batches(rows["valid"], params.batch * 4), params, checkpoints, report)
    return replace(outcome, network=network.cpu().eval())


def _rows(task: tasks.Task, folder: Path, spec: dict[str, Any]) -> Shards | MemoryShards:
    """What batches are cut from: the packed rows, or windows over all of them."""
    packed: str | None = getattr(task, "PACKED", None)
    return Shards(folder) if packed is None else windows(Shards(folder), packed, spec["length"] + 1)


if __name__ == "__main__":
    main()
