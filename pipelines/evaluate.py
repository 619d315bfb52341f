"""Model and test shards → metrics beside baselines, probes, predictions, plots, the report and the model card."""

from pathlib import Path
from typing import Any

import pandas as pd

from pipelines import artifacts, stage
from tidemill.core.errors import TidemillError
from tidemill.core.files import finished_folder, read_json, sha256_file, write_json
from tidemill.core.params import read_system
from tidemill.core.spec import READING
from tidemill.core.tables import read_table
from tidemill.evaluation import card, membership, plots, probing, recitation, report
from tidemill.evaluation.latency import latency
from tidemill.evaluation.measure import Measure
from tidemill.evaluation.params import Evaluate, read_evaluate
from tidemill.evaluation.results import EXPLANATION, Results
from tidemill.inference.predictor import Predictor
from tidemill.models.common.networks import WEIGHTS
from tidemill.tasks.common import baselines, scoring
from tidemill.tasks.common.probes import probe
from tidemill.tokens.shards import Shards


@stage
def main(name: str) -> None:
    """Write `evaluation.json`, `metrics.json`, `probes.json`, `predictions.parquet`, `explanation.csv`, `plots/`,
    `latency.json`, the report and the model card."""
    system = read_system(name)
    params = read_evaluate(system, name, probe.of(system["task"]).Params)
    results = _results(name, system["task"], params)
    with finished_folder(artifacts(name, "evaluate")) as folder:
        write_json(folder / "evaluation.json", results.evaluation)
        write_json(folder / "metrics.json", _values(results.evaluation["metrics"]))
        passed = {result["name"]: result["passed"] for result in results.evaluation["probes"] if result["passed"]}
        write_json(folder / "probes.json", _values(passed))
        write_json(folder / "latency.json", results.latency)
        results.predictions.to_parquet(folder / "predictions.parquet", index=False)
        results.explanation.to_csv(folder / "explanation.csv", index=False)
        _write_plots(folder / "plots", results.plots)
        (folder / "report.html").write_text(report.render(results), encoding="utf-8")
        (folder / "model-card.md").write_text(card.render(results), encoding="utf-8")
    print(f"{name}: {results.evaluation['main_metric']} {results.main['value']} on {len(results.rows)} test rows")


def _results(name: str, task: str, params: Evaluate) -> Results:
    predictor = Predictor(artifacts(name, "train") / "model")
    train, rows = (read_table(artifacts(name, "ingest") / f"{split}.parquet") for split in ("train", "test"))
    shards, measure = Shards(artifacts(name, "tokenize") / "test"), Measure(task, predictor.spec, params)
    predictions = _predictions(predictor, rows, shards)
    against = baselines.of(task).baselines(train, rows, predictor.spec)
    measured = measure.results(rows, predictions, against)
    if READING & predictor.spec.keys():
        as_trained = _predictions(predictor.as_trained(), rows, shards)
        measured["as_trained"] = measure.overall(as_trained)
    probed = probing.probe_model(predictor, rows, params)
    weights = sha256_file(predictor.folder / WEIGHTS)
    explanation = predictor.explanation()
    return Results(
        meanings=scoring.meanings(task),
        evaluation={
            "system": name,
            "task": task,
            "weights_sha256": weights,
            **measured,
            "membership": _membership(predictor, train, predictions, params),
            "recitation": _recitation(predictor, train, params),
            "probes": [one.result for one in probed],
        },
        rows=rows,
        inputs=predictor.inputs,
        predictions=predictions,
        plots=scoring.of(task).plots(predictions, predictor.spec),
        curves=pd.read_csv(artifacts(name, "train") / "curves.csv"),
        profile=read_json(artifacts(name, "ingest") / "profile.json"),
        config=predictor.config,
        latency=latency(predictor, rows, params.seed),
        failures={one.result["name"]: one.failure for one in probed if one.failure is not None},
        explanation=pd.DataFrame(columns=EXPLANATION) if explanation is None else explanation,
    )


def _predictions(predictor: Predictor, rows: pd.DataFrame, shards: Shards) -> pd.DataFrame:
    if len(shards) != len(rows):
        raise TidemillError(f"{len(shards)} packed test rows, but {len(rows)} ingested: run the tokenize stage again")
    predicted = rows[["id", *predictor.rows.TARGETS]].join(predictor.predict_encoded(shards))
    return scoring.of(predictor.task).score(predicted, predictor.spec)


def _membership(
    predictor: Predictor, train: pd.DataFrame, predictions: pd.DataFrame, params: Evaluate
) -> dict[str, Any] | None:
    """Compare the losses of training rows with those of the test rows."""
    if params.membership is None:
        return None
    rows = membership.sample(train, params.membership.rows, params.seed)
    predicted = rows[["id", *predictor.rows.TARGETS]].join(predictor.predict_normalised(rows))
    members = scoring.of(predictor.task).score(predicted, predictor.spec)
    return membership.membership(predictor.task, predictor.spec, members, predictions, params)


def _recitation(predictor: Predictor, train: pd.DataFrame, params: Evaluate) -> dict[str, Any] | None:
    """Let a generator go on from training texts, and compare what it generates with all of them."""
    if params.recitation is None:
        return None
    return recitation.recitation(predictor, train, params.recitation, params)


def _values(intervals: dict[str, Any]) -> dict[str, float]:
    return {name: interval["value"] for name, interval in intervals.items()}


def _write_plots(folder: Path, tables: dict[str, pd.DataFrame]) -> None:
    folder.mkdir()
    for name, table in tables.items():
        (folder / f"{name}.svg").write_text(plots.standalone(plots.draw(name, table)), encoding="utf-8")


if __name__ == "__main__":
    main()
