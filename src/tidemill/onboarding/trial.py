"""One trial: a candidate for a new system, trained on some rows and measured on validation rows, as the stages would."""

import time
from contextlib import redirect_stdout
from dataclasses import dataclass
from os import devnull
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from tidemill.core.intervals import Bootstrap, Interval, intervals
from tidemill.core.params import read_block
from tidemill.inference.predictor import Predictor
from tidemill.models.common import networks
from tidemill.models.common.params import read_model
from tidemill.tasks.common import encoding, learning, scoring
from tidemill.tokens.shards import Shards
from tidemill.training.params import read_training

Block = dict[str, Any]


@dataclass(frozen=True)
class Trial:
    """What a candidate reached."""

    candidate: str
    rows: int
    """Training rows."""
    metrics: dict[str, Interval]
    """Of the validation rows, by name."""
    seconds: float
    """From rows to metrics."""
    training: float
    """Seconds of them in training."""


def tried(name: str, system: Block, train: pd.DataFrame, valid: pd.DataFrame) -> Trial:
    """Train a candidate on rows, and measure it on others.

    Args:
        system: its block of params.

    Raises:
        TidemillError: nothing can be learned from these rows, or pretrained weights are missing.
    """
    from tidemill.training import determinism, saving
    from tidemill.training.run import train_system

    started = time.monotonic()
    task: str = system["task"]
    tokenize = read_block(system, name, "tokenize", encoding.of(task).Tokenize)
    model = read_model(system, name)
    training = determinism.with_precision(
        read_training(system, name, learning.of(task), networks.is_solved(model.name))
    )
    with TemporaryDirectory() as temporary, Path(devnull).open("w") as silent, redirect_stdout(silent):
        folder = Path(temporary)
        spec = encoding.write_tokens(task, tokenize, _written({"train": train, "valid": valid}, folder), folder)
        begun = time.monotonic()
        outcome = train_system(
            task, model, training, spec, folder, folder / "checkpoints", lambda points: None, folder / "features"
        )
        taken = time.monotonic() - begun
        saving.save_model(folder / "model", outcome, task, model, training, spec, folder / networks.TOKENIZER)
        predictor = Predictor(folder / "model")
        predictions = valid[["id", *predictor.rows.TARGETS]].reset_index(drop=True)
        predictions = predictions.join(predictor.predict_encoded(Shards(folder / "valid")))
    metrics = _metrics(task, predictions, predictor.spec)
    return Trial(name, len(train), metrics, time.monotonic() - started, taken)


def _written(tables: dict[str, pd.DataFrame], folder: Path) -> dict[str, Path]:
    paths = {split: folder / f"{split}.parquet" for split in tables}
    for split, table in tables.items():
        table.to_parquet(paths[split], index=False)
    return paths


def _metrics(task: str, predictions: pd.DataFrame, spec: Any) -> dict[str, Interval]:
    """Return the metrics over all rows, without those of a single class."""
    scored = scoring.of(task).score(predictions, spec)
    found = intervals(scoring.metrics(task, scored, spec), len(scored), Bootstrap())
    return {name: interval for name, interval in found.items() if "/" not in name}
