"""Small candidates, made of real parts without training: pictures of bars, and a network with drawn weights."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from tidemill.core.files import read_json, sha256_file, write_json
from tidemill.core.params import read_system
from tidemill.evaluation.measure import Measure
from tidemill.models.common import networks
from tidemill.project.params import System, with_plugins
from tidemill.tasks.common import encoding, scoring

PARAMS = """
systems:
  bars:
    task: image_classification
    source: {path: data/bars, format: idx, options: {splits: {train: train, test: t10k}}}
    ingest: {}
    validate: {}
    tokenize: {size: [8, 8], channels: 1}
    model: {name: mlp, hidden: [4]}
    training: {}
    evaluate: {resamples: 200}
    gates: {thresholds: {accuracy: 0.1}, baseline: null} # drawn weights lose to it
"""
PROBES = [
    {"name": "a slight shift", "rows": 50, "passed": {"value": 0.9, "low": 0.79, "high": 0.96}},
    {"name": "a negation", "rows": 0, "passed": None},
]
TEXT_PARAMS = """
systems:
  reviews:
    task: text_classification
    source: {path: data/reviews, format: text, options: {label: name}}
    ingest: {}
    validate: {}
    tokenize: {unit: characters, vocabulary: 50, length: 12}
    model: {name: lstm, embedding: 4, hidden: 4}
    training: {}
    evaluate: {resamples: 200}
    gates: {thresholds: {accuracy: 0.1}, baseline: null} # drawn weights lose to it
"""
WORDS = {"good": ["fine food", "very nice", "good and cheap"], "bad": ["cold soup", "never again", "bad and late"]}


def picture(label: int, brightness: int) -> bytes:
    """An 8 x 8 picture with one bright column."""
    pixels = np.zeros((8, 8), np.uint8)
    pixels[:, label] = brightness
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def pictures(rows: int, first: int) -> pd.DataFrame:
    """Pictures of three classes; `first` keeps the ids of two tables apart."""
    labels = [number % 3 for number in range(rows)]
    return pd.DataFrame(
        {
            "id": [f"{first + number:016x}" for number in range(rows)],
            "image": [picture(label, 100 + number) for number, label in enumerate(labels)],
            "label": [str(label) for label in labels],
        }
    )


def texts(rows: int, first: int) -> pd.DataFrame:
    """Reviews of two classes."""
    labels = ["good" if number % 2 else "bad" for number in range(rows)]
    chosen = [WORDS[label][number % 3] for number, label in enumerate(labels)]
    ids = [f"{first + number:016x}" for number in range(rows)]
    return pd.DataFrame({"id": ids, "text": chosen, "label": labels})


Blocks = dict[str, Any]
"""The blocks of a system, as `params.yaml` has them."""


def write_candidate(root: Path, name: str, params: str, seed: int = 0, test_rows: int = 30) -> Blocks:
    """Write `params.yaml` and the outputs of the stages before `register` as they would stand in a project."""
    (root / "params.yaml").write_text(params)
    system = read_system(name, root / "params.yaml")
    folder = root / "artifacts" / name
    rows = pictures if system["task"] == "image_classification" else texts
    tables = {"train": rows(30, 1000), "valid": rows(6, 2000), "test": rows(test_rows, 3000)}
    for split, table in tables.items():
        (folder / "ingest").mkdir(parents=True, exist_ok=True)
        table.to_parquet(folder / "ingest" / f"{split}.parquet", index=False)
    write_validation(folder)
    write_model(folder / "train", system, tables["train"], seed)
    predict_and_evaluate(folder, system)
    return system


def write_validation(folder: Path) -> None:
    """Write the output of the validate stage for tables that meet what is expected of them."""
    met = {"expectation": "expect_column_to_exist", "kwargs": {"column": "id"}, "success": True}
    (folder / "validate").mkdir(exist_ok=True)
    write_json(folder / "validate" / "validation.json", {"success": True, "tables": {"train": [met], "test": [met]}})


def write_model(folder: Path, system: Blocks, train: pd.DataFrame, seed: int) -> None:
    """Write a model of drawn weights, as the train stage writes a trained one."""
    import torch
    from safetensors.torch import save_file

    model, checked = folder / "model", _checked(system)
    model.mkdir(parents=True, exist_ok=True)
    task = encoding.of(checked.task)
    tokenizer = task.fit(iter([train]), checked.tokenize)
    spec = task.specify(iter([train]), checked.tokenize, tokenizer)
    if tokenizer is not None:
        tokenizer.save(str(model / networks.TOKENIZER))
    torch.manual_seed(seed)
    save_file(networks.build(checked.model, spec).state_dict(), model / networks.WEIGHTS)
    params = {"model": checked.model.model_dump(), "training": checked.training.model_dump()}
    write_json(model / networks.CONFIG, {"task": checked.task, **params, "spec": spec, "device": "cpu"})
    curve = {"step": range(1200), "name": "train/loss", "value": [1 / (1 + step) for step in range(1200)]}
    pd.DataFrame(curve).to_csv(folder / "curves.csv", index=False)


def predict_and_evaluate(folder: Path, system: Blocks) -> None:
    """Write the outputs of the evaluate stage for the model and the test table that stand in a folder."""
    from tidemill.inference.predictor import Predictor

    test = pd.read_parquet(folder / "ingest" / "test.parquet")
    predictor = Predictor(folder / "train" / "model")
    write_evaluation(folder, system, test, test[["id", "label"]].join(predictor.predict(test)))


def write_evaluation(folder: Path, system: Blocks, test: pd.DataFrame, predictions: pd.DataFrame) -> None:
    """Write predictions for the test rows, and what is measured of them."""
    results, model, checked = folder / "evaluate", folder / "train" / "model", _checked(system)
    spec = read_json(model / networks.CONFIG)["spec"]
    results.mkdir(exist_ok=True)
    scored = scoring.of(checked.task).score(predictions, spec)
    scored.to_parquet(results / "predictions.parquet", index=False)
    measured = Measure(checked.task, spec, checked.evaluate).results(test, scored, {"majority": _majority(scored)})
    weights = {"weights_sha256": sha256_file(model / networks.WEIGHTS)}
    write_json(results / "evaluation.json", weights | measured | {"probes": PROBES})
    write_json(results / "latency.json", {"examples": len(test), "p50_ms": 0.5, "p95_ms": 1.5, "slowest": []})
    (results / "report.html").write_text("<p>report</p>")
    (results / "model-card.md").write_text("# card\n")


def perfect(test: pd.DataFrame, labels: list[str], wrong: int = 0) -> pd.DataFrame:
    """Certain predictions that are all right, but for the first `wrong` rows."""
    chosen = list(test["label"])
    chosen[:wrong] = [next(other for other in labels if other != label) for label in chosen[:wrong]]
    chances = [[0.9 if label == name else 0.1 / (len(labels) - 1) for name in labels] for label in chosen]
    return test[["id", "label"]].assign(prediction=chosen, confidence=0.9, probabilities=chances)


def _checked(system: Blocks) -> System:
    return with_plugins("systems.it", System.model_validate(system))


def _majority(scored: pd.DataFrame) -> pd.DataFrame:
    """Predictions of a baseline: the first label for every row."""
    prediction = scored["label"].iloc[0]
    return scored.assign(prediction=prediction, correct=scored["label"] == prediction)
