"""Model and test shards → metrics beside baselines, predictions, plots, the report and the model card."""

import pandas as pd

from pipelines import artifacts, stage
from tidemill import tasks
from tidemill.config import System, load_system
from tidemill.data.tables import read_table
from tidemill.errors import TidemillError
from tidemill.evaluation import behaviour, card, figures, report
from tidemill.evaluation.facts import Facts
from tidemill.evaluation.latency import latency
from tidemill.evaluation.measure import measure
from tidemill.files import finished_folder, read_json, sha256_file, write_json
from tidemill.models import WEIGHTS
from tidemill.tasks._predictor import Predictor
from tidemill.tokens.shards import Shards


@stage
def main(name: str) -> None:
    """Write `evaluation.json`, `metrics.json`, `predictions.parquet`, `plots/`, `latency.json` and the two documents."""
    facts = _facts(name, load_system(name))
    with finished_folder(artifacts(name, "evaluate")) as folder:
        write_json(folder / "evaluation.json", facts.evaluation)
        figures_ = behaviour.figures(facts.evaluation)
        write_json(folder / "metrics.json", {name: found["value"] for name, found in figures_.items()})
        write_json(folder / "latency.json", facts.latency)
        facts.predictions.to_parquet(folder / "predictions.parquet", index=False)
        (folder / "plots").mkdir()
        for plot, table in facts.plots.items():
            svg = figures.standalone(figures.drawn(plot, table))
            (folder / "plots" / f"{plot}.svg").write_text(svg, encoding="utf-8")
        (folder / "report.html").write_text(report.render(facts), encoding="utf-8")
        (folder / "model-card.md").write_text(card.render(facts), encoding="utf-8")
    print(f"{name}: {facts.evaluation['main_metric']} {facts.main['value']} on {len(facts.rows)} test rows")


def _facts(name: str, system: System) -> Facts:
    task, predictor = tasks.load(system.task), Predictor(artifacts(name, "train") / "model")
    train, rows = (read_table(artifacts(name, "ingest") / f"{split}.parquet") for split in ("train", "test"))
    predictions = _predictions(task, predictor, rows, Shards(artifacts(name, "tokenize") / "test"))
    baselines = task.baselines(train, rows, predictor.spec)
    results = measure(task, predictor.spec, rows, predictions, baselines, system.evaluate)
    behaviours = behaviour.tried(system.task, predictor, rows, system.evaluate)
    weights = sha256_file(predictor.folder / WEIGHTS)
    return Facts(
        meanings=task.MEANINGS,
        evaluation={
            "system": name,
            "task": system.task,
            "weights_sha256": weights,
            **results,
            "behaviours": [one.result for one in behaviours],
        },
        rows=rows,
        inputs=task.INPUTS,
        predictions=predictions,
        plots=task.plots(predictions, predictor.spec),
        curves=pd.read_csv(artifacts(name, "train") / "curves.csv"),
        profile=read_json(artifacts(name, "ingest") / "profile.json"),
        config=predictor.config,
        training=system.training.model_dump(),
        latency=latency(predictor, rows, system.evaluate.seed),
        failures={one.result["name"]: one.failure for one in behaviours if one.failure is not None},
    )


def _predictions(task: tasks.Task, predictor: Predictor, rows: pd.DataFrame, shards: Shards) -> pd.DataFrame:
    if len(shards) != len(rows):
        raise TidemillError(f"{len(shards)} packed test rows, but {len(rows)} ingested: run the tokenize stage again")
    return task.score(rows[["id", *tasks.targets(task)]].join(predictor.answer(shards)), predictor.spec)


if __name__ == "__main__":
    main()
