"""One fold of a cross-validation: a model of all training rows but the fold's, and its predictions of these.

It predicts its share of the test rows as well: no model of the folds has seen them, and an attack compares the two.
"""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipelines import artifacts, stage
from tidemill.core.errors import TidemillError
from tidemill.core.files import finished_folder, write_json
from tidemill.core.params import read_block, read_system
from tidemill.core.spec import Spec
from tidemill.core.tables import read_table
from tidemill.inference.predictor import Predictor
from tidemill.models.common import networks
from tidemill.models.common.params import read_model
from tidemill.rows import folds
from tidemill.rows.params import Ingest, read_cross_validation
from tidemill.tasks.common import encoding, learning, scoring
from tidemill.tasks.common import rows as task_rows
from tidemill.tokens.shards import Shards
from tidemill.training import determinism, saving
from tidemill.training.fingerprint import fingerprint
from tidemill.training.params import read_training, recorded
from tidemill.training.run import train_system

FOLDS, SCRATCH = Path("artifacts/folds"), Path(".tidemill/folds")
"""Outputs, by system and number of the fold; and what is of no use once they are there."""


@stage
def main(name: str) -> None:
    """Write `model/`, `predictions.parquet`, `test_predictions.parquet` and `metrics.json` of the fold `SYSTEM-NUMBER`."""
    system_name, _, number = name.rpartition("-")
    system, scratch = read_system(system_name), SCRATCH / name
    tokens = scratch / "tokens"
    shutil.rmtree(tokens, ignore_errors=True)
    tables = _split(system_name, system, int(number), scratch / "rows")
    params = read_block(system, system_name, "tokenize", encoding.of(system["task"]).Tokenize)
    spec = encoding.write_tokens(system["task"], params, tables, tokens)
    with finished_folder(FOLDS / system_name / number) as folder:
        _train(system_name, system, spec, scratch, folder / "model")
        metrics = _predict(system["task"], read_table(tables["test"]), tokens, folder)
        _predict_test(_of_fold(system_name, system, "test", int(number)), folder)
    shutil.rmtree(scratch)
    main_metric = scoring.of(system["task"]).MAIN_METRIC
    print(f"{name}: {main_metric} {metrics[main_metric]:.4f} on {spec['splits']['test']['rows']} rows of the fold")


def _split(name: str, system: dict[str, Any], number: int, folder: Path) -> dict[str, Path]:
    """Write the training rows without the fold's, the validation rows, and the fold's rows in place of the test rows."""
    train, valid = (read_table(artifacts(name, "ingest") / f"{split}.parquet") for split in ("train", "valid"))
    held_out = train["id"].isin(_of_fold(name, system, "train", number)["id"])
    if held_out.all() or not held_out.any():
        count = len(read_cross_validation().folds)
        raise TidemillError(f"fold {number} of {count} has {held_out.sum()} of {len(train)} rows: take fewer folds")
    folder.mkdir(parents=True, exist_ok=True)
    parts = {"train": train[~held_out], "valid": valid, "test": train[held_out]}
    for split, rows in parts.items():
        rows.to_parquet(folder / f"{split}.parquet", index=False)
    return {split: folder / f"{split}.parquet" for split in parts}


def _of_fold(name: str, system: dict[str, Any], split: str, number: int) -> pd.DataFrame:
    """Return the rows of a split that have the number of the fold."""
    rows, ingest = (
        read_table(artifacts(name, "ingest") / f"{split}.parquet"),
        read_block(system, name, "ingest", Ingest),
    )
    return rows[folds.numbered(rows, task_rows.of(system["task"]), ingest, read_cross_validation()) == number]


def _train(name: str, system: dict[str, Any], spec: Spec, scratch: Path, folder: Path) -> None:
    task, model, tokens = system["task"], read_model(system, name), scratch / "tokens"
    solved = networks.is_solved(model.name)
    training = determinism.with_precision(read_training(system, name, learning.of(task), solved))
    params = {"tokenize": spec["tokenize"], "model": model.model_dump(), "training": recorded(training, solved)}
    checkpoints = scratch / fingerprint(task, model.name, params, spec)
    outcome = train_system(task, model, training, spec, tokens, checkpoints, lambda points: None, scratch / "features")
    saving.save_model(folder, outcome, task, model, training, spec, tokens / networks.TOKENIZER)


def _predict(task: str, rows: pd.DataFrame, tokens: Path, folder: Path) -> dict[str, float]:
    predictor = Predictor(folder / "model")
    predicted = rows[["id", *predictor.rows.TARGETS]].join(predictor.predict_encoded(Shards(tokens / "test")))
    predictions = scoring.of(task).score(predicted, predictor.spec)
    predictions.to_parquet(folder / "predictions.parquet", index=False)
    metrics = scoring.metrics(task, predictions, predictor.spec)(np.ones(len(rows), np.int64))
    write_json(folder / "metrics.json", {name: value for name, value in metrics.items() if not np.isnan(value)})
    return metrics


def _predict_test(rows: pd.DataFrame, folder: Path) -> None:
    predictor = Predictor(folder / "model")
    predicted = rows[["id", *predictor.rows.TARGETS]].join(predictor.predict_normalised(rows))
    scored = scoring.of(predictor.task).score(predicted, predictor.spec)
    scored.to_parquet(folder / "test_predictions.parquet", index=False)


if __name__ == "__main__":
    main()
