"""FLAML or AutoGluon on a table: `python automl.py flaml FOLDER label 60`, by the Python of an environment that has it.

Reads `train.parquet` and `test.parquet` of the folder, and writes `predictions.json`: the model chosen, and a prediction
for each test row. Both get one thread.
"""

import json
import sys
from pathlib import Path

import pandas as pd


def flaml(train: pd.DataFrame, test: pd.DataFrame, target: str, seconds: float) -> tuple[str, list]:
    """Fit FLAML's AutoML."""
    from flaml import AutoML

    task = "classification" if target == "label" else "regression"
    metric = "accuracy" if target == "label" else "r2"
    model = AutoML()
    model.fit(
        train.drop(columns=target),
        train[target],
        task=task,
        metric=metric,
        time_budget=seconds,
        n_jobs=1,
        verbose=0,
        seed=0,
    )
    return model.best_estimator, model.predict(test).tolist()


def autogluon(train: pd.DataFrame, test: pd.DataFrame, target: str, seconds: float) -> tuple[str, list]:
    """Fit AutoGluon's predictor of tables."""
    from autogluon.tabular import TabularPredictor

    model = TabularPredictor(
        target,
        problem_type="regression" if target == "target" else None,
        eval_metric="r2" if target == "target" else "accuracy",
        path=str(Path(sys.argv[2]) / "autogluon"),
        verbosity=0,
    )
    model.fit(train, time_limit=seconds, num_cpus=1, num_gpus=0)
    return model.model_best, model.predict(test).tolist()


if __name__ == "__main__":
    way, folder, target, seconds = sys.argv[1:]
    tables = [pd.read_parquet(Path(folder) / f"{split}.parquet") for split in ("train", "test")]
    chosen, predictions = {"flaml": flaml, "autogluon": autogluon}[way](
        tables[0], tables[1].drop(columns=target), target, float(seconds)
    )
    (Path(folder) / "predictions.json").write_text(json.dumps({"chosen": chosen, "predictions": predictions}))
