"""Cross-validation as DVC runs it: a stage for each fold, out-of-fold predictions of every training row, the spread."""

import json
import shutil
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML
from sklearn.metrics import roc_auc_score

from tests.projects import NGRAMS, ROOT, Project, write_reviews
from tests.stages.in_process import run_stages
from tidemill.core.files import read_json
from tidemill.evaluation import cross_validation
from tidemill.inference.predictor import Predictor

SYSTEM = NGRAMS | {
    "source": NGRAMS["source"] | {"path": "raw/reviews"},
    "model": {"name": "linear", "strengths": [1.0]},
}


def write_params(project: Project, block: dict[str, Any], system: dict[str, Any] = SYSTEM) -> None:
    with (project.folder / "params.yaml").open("w", encoding="utf-8") as stream:
        YAML().dump({"systems": {"reviews": system}, "cross_validation": {"near_copies": 1.0, **block}}, stream)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = Project(tmp_path_factory.mktemp("folds") / "project")
    shutil.copytree(ROOT / "folds", made.folder / "folds")
    write_reviews(made.folder / "raw/reviews", 120)
    write_params(made, {"systems": ["reviews"], "folds": [1, 2]})
    made.run("dvc", "repro", "folds/dvc.yaml")
    return made


def fold(project: Project, number: int, name: str) -> Any:
    return project.folder / "artifacts/folds/reviews" / str(number) / name


def test_every_training_row_is_predicted_once_by_a_model_that_never_saw_it(project: Project) -> None:
    train = pd.read_parquet(project.artifact("reviews", "ingest/train.parquet")).set_index("id")
    predictions = pd.read_parquet(project.artifact("reviews", "cross_validate/predictions.parquet"))
    assert sorted(predictions["id"]) == sorted(train.index)
    for number, own in predictions.groupby("fold"):
        predictor = Predictor(fold(project, number, "model"))
        assert predictor.spec["splits"]["train"]["rows"] == len(train) - len(own)
        again = np.stack(predictor.predict(train.loc[own["id"]])["probabilities"].to_list())
        np.testing.assert_allclose(np.stack(own["probabilities"].to_list()), again, atol=1e-6)


def test_the_spread_is_that_of_the_folds_and_dvc_shows_it(project: Project) -> None:
    shown = json.loads(project.run("dvc", "metrics", "show", "--json", "artifacts/reviews/cross_validate/metrics.json"))
    [found] = [one["data"]["accuracy"] for one in shown[""]["data"].values()]
    values = [read_json(fold(project, number, "metrics.json"))["accuracy"] for number in (1, 2)]
    assert [found["fold_1"], found["fold_2"]] == values
    assert found["mean"] == pytest.approx(np.mean(values)) and found["deviation"] == pytest.approx(
        np.std(values, ddof=1)
    )
    page = project.artifact("reviews", "cross_validate/report.html").read_text(encoding="utf-8")
    assert "fold 2" in page and "accuracy" in page


def test_the_attack_compares_the_model_with_one_that_never_saw_the_row(project: Project) -> None:
    found = read_json(project.artifact("reviews", "attack/metrics.json"))
    signals = []
    for split, table in (("train", "predictions"), ("test", "test_predictions")):
        rows = pd.read_parquet(project.artifact("reviews", f"ingest/{split}.parquet")).set_index("id")
        unseen = pd.concat([pd.read_parquet(fold(project, number, f"{table}.parquet")) for number in (1, 2)])
        assert sorted(unseen["id"]) == sorted(rows.index), "each row has one reference"
        own = Predictor(project.artifact("reviews", "train/model")).predict(rows.loc[unseen["id"]])
        place = (unseen["label"] == "pos").astype(int)  # labels in their order: neg, pos
        given = np.stack(own["probabilities"].to_list()).astype(np.float64)[np.arange(len(own)), place]
        chance = np.exp(-unseen["loss"].to_numpy())
        signals.append(np.log(given / (1 - given)) - np.log(chance / (1 - chance)))
    truth = np.repeat([1, 0], [len(signals[0]), len(signals[1])])
    expected = roc_auc_score(truth, np.concatenate(signals))
    assert found["likelihood_ratio"]["auc"]["value"] == pytest.approx(expected, abs=1e-3)
    assert {"gap", "loss_threshold"} < found.keys() and "tpr_at_0.001" in found["likelihood_ratio"]
    page = project.artifact("reviews", "attack/report.html").read_text(encoding="utf-8")
    assert "likelihood ratio to reference models: true positives at 0.1 % false positives" in page


def test_an_attack_that_is_not_measured_is_named(project: Project) -> None:
    block = {"systems": ["reviews"], "folds": [1, 2]}
    write_params(project, block, SYSTEM | {"evaluate": SYSTEM["evaluate"] | {"membership": None}})
    done = project.stage("attack", "reviews")
    write_params(project, block)
    assert done.returncode == 1 and "evaluate.membership is null, which measures no attack" in done.stderr


def test_a_fold_gives_the_same_bits_again(project: Project) -> None:
    names = ("model/model.safetensors", "predictions.parquet", "test_predictions.parquet", "metrics.json")
    before = [fold(project, 1, name).read_bytes() for name in names]
    run_stages(project.folder, "reviews-1", "fold", environment=project.environment)
    assert [fold(project, 1, name).read_bytes() for name in names] == before
    assert not (project.folder / ".tidemill/folds/reviews-1").exists()


def test_the_flow_plans_the_folds_side_by_side(project: Project) -> None:
    planned = project.run("tidemill", "run", "--dry-run", "--force", "folds/dvc.yaml")
    for name in ("fold@reviews-1", "fold@reviews-2", "cross_validate@reviews", "attack@reviews"):
        assert f"folds/dvc.yaml:{name}" in planned


def test_the_system_itself_has_the_stages_that_it_had(project: Project) -> None:
    write_params(project, {"systems": [], "folds": [1, 2]})
    assert project.run("dvc", "stage", "list", "--name-only", "folds/dvc.yaml").strip() == ""
    write_params(project, {"systems": ["reviews"], "folds": [1, 2]})
    assert "ingest@reviews" not in project.run("dvc", "status")


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ({"systems": ["views"]}, "cross_validation.systems: no system 'views'; did you mean 'reviews'?"),
        ({"systems": ["reviews"], "folds": [1, 3]}, "folds are numbered from 1 up"),
    ],
)
def test_a_mistake_is_named_before_any_work(project: Project, block: dict[str, Any], said: str) -> None:
    write_params(project, block)
    done = project.start("python", "-m", "pipelines.check")
    write_params(project, {"systems": ["reviews"], "folds": [1, 2]})
    assert done.returncode == 1 and said in done.stderr


def test_too_many_folds_for_the_rows_are_named(project: Project) -> None:
    write_params(project, {"systems": ["reviews"], "folds": [*range(1, 1001)]})
    done = project.stage("fold", "reviews-1")
    write_params(project, {"systems": ["reviews"], "folds": [1, 2]})
    assert done.returncode == 1 and "take fewer folds" in done.stderr


def test_a_metric_that_a_fold_lacks_has_no_spread() -> None:
    found = cross_validation.spread({1: {"accuracy": 0.5, "f1/rare": 1.0}, 2: {"accuracy": 0.7}})
    assert found.keys() == {"accuracy"} and found["accuracy"]["mean"] == pytest.approx(0.6)
