"""Results of made-up models, for the tests of what is made from them."""

from typing import Any

import numpy as np
import pandas as pd

from tidemill.core.spec import Spec
from tidemill.evaluation.measure import Measure
from tidemill.evaluation.params import Evaluate
from tidemill.evaluation.results import Results
from tidemill.tasks.common import baselines as task_baselines
from tidemill.tasks.common import rows as task_rows
from tidemill.tasks.common import scoring as task_scoring

PARAMS = Evaluate(resamples=100)
PROBES = [
    {
        "name": "<b>capitals",
        "kind": "invariance",
        "expects": "the same label",
        "rows": 50,
        "passed": {"value": 0.86, "low": 0.738, "high": 0.93},
        "failure": {"id": "0" * 16, "before": "<b>bad, 0.9", "after": "good|fine, 0.6"},
    },
    {"name": "a negation", "kind": "direction", "expects": "?", "rows": 0, "passed": None, "failure": None},
]
RECITATION = {
    "texts": 20,
    "least": 50,
    "verbatim": {"value": 0.125, "low": 0.05, "high": 0.175},
    "near_copies": {"value": 0.2, "low": 0.08, "high": 0.416},
}
MEMBERSHIP = {
    "rows": {"train": 900, "test": 60},
    "gap": {"value": 0.25, "low": 0.2, "high": 0.3},
    "loss_threshold": {
        "auc": {"value": 0.625, "low": 0.6, "high": 0.65},
        "tpr_at_0.001": {"value": 0.0, "low": 0.0, "high": 0.004},
        "tpr_at_0.01": {"value": 0.0475, "low": 0.02, "high": 0.07},
    },
}


def rows_of(texts: list[str], labels: list[str]) -> pd.DataFrame:
    """Test rows whose labels come in turn."""
    ids = [f"{number:016x}" for number in range(len(texts))]
    given = [labels[number % len(labels)] for number in range(len(texts))]
    origin = [f"reviews.csv:{number + 2}" for number in range(len(texts))]
    return pd.DataFrame({"id": ids, "text": texts, "label": given, "row": origin})


def predictions(rows: pd.DataFrame, labels: list[str], right: float) -> pd.DataFrame:
    """Predictions of which about the share `right` are right."""
    rng = np.random.default_rng(0)
    chances = rng.dirichlet(np.ones(len(labels)), size=len(rows))
    for place, label in enumerate(rows["label"]):
        if rng.random() < right:
            chances[place] = np.roll(np.sort(chances[place]), labels.index(label) + 1)
    predicted = {
        "id": rows["id"],
        "label": rows["label"],
        "prediction": [labels[number] for number in chances.argmax(axis=1)],
        "confidence": chances.max(axis=1),
        "probabilities": list(chances),
    }
    return pd.DataFrame(predicted)


def results(rows: pd.DataFrame, labels: list[str], right: float = 0.7, task: str = "text_classification") -> Results:
    """Results of a model whose predictions are right as often as `right` says."""
    spec: Spec = {"labels": labels}
    scoring = task_scoring.of(task)
    scored = scoring.score(predictions(rows, labels, right), spec)
    baselines = {"majority": task_baselines.majority(rows, rows, spec)}
    hashes: dict[str, Any] = {"system": "reviews", "task": task, "weights_sha256": "ab" * 32}
    return Results(
        meanings=task_scoring.meanings(task),
        evaluation=hashes
        | Measure(task, spec, PARAMS).results(rows, scored, baselines)
        | {"probes": PROBES, "membership": MEMBERSHIP, "recitation": RECITATION},
        rows=rows,
        inputs=task_rows.of(task).INPUTS,
        predictions=scored,
        plots=scoring.plots(scored, spec),
        curves=pd.DataFrame(
            [(step, f"{part}/loss", 1 / step) for step in (1, 2, 3) for part in ("train", "val")],
            columns=["step", "name", "value"],
        ),
        profile={"rows": {"train": 900, "valid": 100, "test": len(rows)}, "rejected": {"exact copy": 12}},
        config={
            "model": {"name": "lstm"},
            "training": {"lr": 0.001, "clip": None},
            "spec": spec | {"tokenize": {}, "splits": {"train": {"sha256": "cd" * 32}}},
        },
        failures={"<b>capitals": {str(name): value for name, value in rows.iloc[0].items()}},
        latency={"examples": 1, "p50_ms": 1.0, "p95_ms": 2.0, "slowest": [{"id": rows["id"][0], "ms": 3.0}]},
    )
