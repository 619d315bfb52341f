"""How good our models of tables are beside scikit-learn's, on the same rows of its own sets, with the 95 % interval of each.

Ours choose on a fifth of the training rows; so do the peers, by the library's own early stopping, where they have any.
"""

import io
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from tests.tables import write
from tidemill.core.intervals import Bootstrap, Interval, intervals, paired_difference
from tidemill.formats.common.source import Source, read_rows
from tidemill.formats.csv import Options
from tidemill.inference.predictor import Predictor
from tidemill.models.common.params import check_model
from tidemill.rows.cleaning import ingested
from tidemill.rows.params import Ingest
from tidemill.tasks.common import encoding, proposal, rows, scoring
from tidemill.tokens.shards import Shards
from tidemill.training import saving
from tidemill.training.params import Training
from tidemill.training.run import train_system

SETS = {"iris": "label", "wine": "label", "breast_cancer": "label", "digits": "label", "diabetes": "target"}
MAIN = {"label": "accuracy", "target": "r2"}
SHARES = {"valid": 0.2, "test": 0.3}
"""Test rows count, so that the intervals are narrow; the peers are fitted to training and validation rows."""


def main() -> None:
    """Print a line for each set and model."""
    for name in sys.argv[1:] or SETS:
        target = SETS[name]
        task = {"label": "table_classification", "target": "table_regression"}[target]
        with TemporaryDirectory() as folder:
            path = Path(folder) / f"{name}.csv"
            write(path, name, target)
            table = read_rows(Source(path=str(path), format="csv", options=Options()))
        kept, _ = ingested(table, rows.of(task), Ingest(near_duplicates=None, **SHARES))
        train, valid, test = (
            kept[kept["split"] == split].reset_index(drop=True) for split in ("train", "valid", "test")
        )
        print(f"{name}: {len(train)} training, {len(valid)} validation, {len(test)} test rows; {MAIN[target]}")
        found = {**_ours(task, train, valid, test), **_theirs(target, pd.concat([train, valid]), test)}
        _print(task, found, target)


def _ours(task: str, train: pd.DataFrame, valid: pd.DataFrame, test: pd.DataFrame) -> dict[str, tuple[Any, float]]:
    found = {}
    for candidate in proposal.of(task).candidates(train, []):
        started = time.process_time()
        with TemporaryDirectory() as folder:
            predictions, spec = _fitted(task, candidate.params, train, valid, test, Path(folder))
        seconds = time.process_time() - started
        found[f"tidemill: {candidate.name}"] = (scoring.of(task).score(predictions, spec), spec), seconds
    return found


def _fitted(
    task: str, params: dict[str, Any], train: pd.DataFrame, valid: pd.DataFrame, test: pd.DataFrame, folder: Path
) -> tuple[pd.DataFrame, Any]:
    """Encode, train and predict as the stages do; return the predictions for the test rows, and the spec."""
    tables = {"train": train, "valid": valid, "test": test}
    for split, table in tables.items():
        table.to_parquet(folder / f"{split}.parquet")
    paths = {split: folder / f"{split}.parquet" for split in tables}
    spec = encoding.write_tokens(task, encoding.of(task).Tokenize(**params["tokenize"]), paths, folder)
    model, training = check_model(params["model"], "table"), Training(**params["training"])
    with redirect_stdout(io.StringIO()):
        outcome = train_system(
            task, model, training, spec, folder, folder / "checkpoints", lambda points: None, folder / "features"
        )
    saving.save_model(folder / "model", outcome, task, model, training, spec, folder / "tokenizer.json")
    predictor = Predictor(folder / "model")
    predictions = test[["id", *predictor.rows.TARGETS]].join(predictor.predict_encoded(Shards(folder / "test")))
    return predictions, predictor.spec


def _theirs(target: str, train: pd.DataFrame, test: pd.DataFrame) -> dict[str, tuple[Any, float]]:
    names = rows.table_columns(train, target)
    found = {}
    for name, model in _peers(target).items():
        started = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            predicted = model().fit(train[names], train[target]).predict(test[names])
        found[f"scikit-learn: {name}"] = (predicted, None), time.process_time() - started
    return found


def _peers(target: str) -> dict[str, Callable[[], Any]]:
    from sklearn import ensemble
    from sklearn.linear_model import LogisticRegressionCV, RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if target == "label":
        return {
            "HistGradientBoosting": lambda: ensemble.HistGradientBoostingClassifier(random_state=0),
            "RandomForest": lambda: ensemble.RandomForestClassifier(300, random_state=0),
            "logistic regression": lambda: make_pipeline(StandardScaler(), LogisticRegressionCV(max_iter=2000)),
        }
    return {
        "HistGradientBoosting": lambda: ensemble.HistGradientBoostingRegressor(random_state=0),
        "RandomForest": lambda: ensemble.RandomForestRegressor(300, random_state=0),
        "ridge": lambda: make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 3, 20))),
    }


def _print(task: str, found: dict[str, tuple[Any, float]], target: str) -> None:
    metric = MAIN[target]
    (scored, spec), _ = next(iter(found.values()))
    measures = {}
    for name, ((predictions, own), seconds) in found.items():
        if own is None:
            values = predictions if target == "target" else np.asarray(predictions, object)
            predictions = scored[["id", target]].assign(prediction=values, confidence=1.0)
        measures[name] = scoring.of(task).metrics(predictions, spec), seconds
    values = {name: intervals(measure, len(scored), Bootstrap())[metric] for name, (measure, _) in measures.items()}
    best = max((name for name in values if "scikit" in name), key=lambda name: values[name]["value"])
    for name, (measure, seconds) in measures.items():
        gain = paired_difference(measure, measures[best][0], metric, len(scored), Bootstrap())
        beside = "" if name == best else f"; to the best peer {_shown(gain, '+.3f')}"
        print(f"  {name}: {_shown(values[name], '.3f')}{beside}; {seconds:.1f} s of CPU time")


def _shown(found: Interval, how: str) -> str:
    return f"{found['value']:{how}} [{found['low']:{how}}, {found['high']:{how}}]"


if __name__ == "__main__":
    main()
