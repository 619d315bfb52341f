"""One trial: a candidate for a new system, trained on some rows and measured on others, as the stages would."""

import time
from collections.abc import Iterable
from contextlib import redirect_stdout
from dataclasses import dataclass
from os import devnull
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pandas as pd

from tidemill.core.intervals import Bootstrap, Interval, intervals
from tidemill.core.params import read_block
from tidemill.core.spec import Spec
from tidemill.inference.predictor import Predictor
from tidemill.models.common import networks
from tidemill.models.common.params import read_model
from tidemill.onboarding.sampling import Split
from tidemill.tasks.common import encoding, learning, scoring
from tidemill.tokens.shards import Shards
from tidemill.training.params import read_training

Block = dict[str, Any]


@dataclass(frozen=True)
class Trial:
    """What a candidate reached."""

    candidate: str
    rows: int
    """Training rows, of several splits on average."""
    metrics: dict[str, Interval]
    """Of all validation rows, by name."""
    seconds: float
    """From rows to metrics."""
    training: float
    """Seconds of one training among them."""


def tried(name: str, system: Block, splits: Iterable[Split]) -> Trial:
    """Train a candidate on the training rows of each split, and measure it on all their validation rows.

    Args:
        system: its block of params.

    Raises:
        TidemillError: nothing can be learned from these rows, or pretrained weights are missing.
    """
    started = time.monotonic()
    found = [_predicted(name, system, *split) for split in splits]
    predictions = pd.concat([one.predictions for one in found], ignore_index=True)
    return Trial(
        name,
        rows=round(mean(one.rows for one in found)),
        metrics=_metrics(system["task"], predictions, found[-1].spec),
        seconds=time.monotonic() - started,
        training=mean(one.training for one in found),
    )


class _Predicted(NamedTuple):
    """Predictions for validation rows."""

    predictions: pd.DataFrame
    spec: Spec
    rows: int
    """Training rows."""
    training: float
    """Seconds."""


def _predicted(name: str, system: Block, train: pd.DataFrame, valid: pd.DataFrame) -> _Predicted:
    from tidemill.training import determinism, saving
    from tidemill.training.run import train_system

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
    return _Predicted(predictions, predictor.spec, len(train), taken)


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
