"""The model and the folds of a system → what attacks tell of its training rows, as numbers and as a page."""

from pathlib import Path

import pandas as pd

from pipelines import artifacts, stage
from tidemill.core.errors import TidemillError
from tidemill.core.files import finished_folder, write_json
from tidemill.core.params import read_block, read_system
from tidemill.core.tables import read_table
from tidemill.evaluation import cross_validation, membership
from tidemill.evaluation.params import Evaluate
from tidemill.inference.predictor import Predictor
from tidemill.rows.params import read_cross_validation
from tidemill.tasks.common import scoring


@stage
def main(name: str) -> None:
    """Write `metrics.json` and `report.html`."""
    params = read_block(read_system(name), name, "evaluate", Evaluate)
    if params.membership is None:
        raise TidemillError(f"systems.{name}.evaluate.membership is null, which measures no attack: set it to {{}}")
    predictor = Predictor(artifacts(name, "train") / "model")
    train, test = (read_table(artifacts(name, "ingest") / f"{split}.parquet") for split in ("train", "test"))
    members = _scored(predictor, membership.sample(train, params.membership.rows, params.seed))
    others = _scored(predictor, test)
    references = _losses(name, "predictions"), _losses(name, "test_predictions")
    found = membership.against_references(predictor.task, predictor.spec, (members, others), references, params)
    with finished_folder(artifacts(name, "attack")) as folder:
        write_json(folder / "metrics.json", found)
        page = cross_validation.render_attack(name, found, membership.named(found))
        (folder / "report.html").write_text(page, encoding="utf-8")
    auc = found["likelihood_ratio"]["auc"]
    print(f"{name}: AUC {auc['value']:.4f} [{auc['low']:.4f}, {auc['high']:.4f}] of the likelihood-ratio attack")


def _scored(predictor: Predictor, rows: pd.DataFrame) -> pd.DataFrame:
    predicted = rows[["id", *predictor.rows.TARGETS]].join(predictor.predict_normalised(rows))
    return scoring.of(predictor.task).score(predicted, predictor.spec)


def _losses(name: str, table: str) -> "pd.Series[float]":
    """Return the loss of each row by its id, of the one model of the folds that predicted it and never saw it."""
    folders = [Path("artifacts/folds") / name / str(number) for number in read_cross_validation().folds]
    columns = [pd.read_parquet(folder / f"{table}.parquet", columns=["id", "loss"]) for folder in folders]
    return pd.concat(columns).set_index("id")["loss"]


if __name__ == "__main__":
    main()
