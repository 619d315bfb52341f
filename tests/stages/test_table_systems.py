"""Tables through all stages: wine by boosted trees, diabetes by a ridge and a perceptron; asked by column name, watched."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from tests.projects import Project
from tests.stages.in_process import STAGES, run_stages
from tests.tables import DIABETES, WINE, write
from tidemill.core.errors import TidemillError
from tidemill.core.files import read_json, sha256_file
from tidemill.inference.predictor import Predictor
from tidemill.registry.package import check_formats

NEURAL = DIABETES | {
    "model": {"name": "mlp", "hidden": [32]},
    "training": {"epochs": 15, "loss": "huber", "lr": 0.01},
    "gates": {"thresholds": {"r2": 0.1, "rmse": 1}},  # no model is that close
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose three tables went through all stages."""
    made = Project(tmp_path_factory.mktemp("tables") / "project")
    write(made.folder / "raw/wine.csv", "wine")
    write(made.folder / "raw/diabetes.csv", "diabetes", "progression")
    made.params(wine=WINE, diabetes=DIABETES, neural=NEURAL)
    made.commit()
    for system in ("wine", "diabetes", "neural"):
        run_stages(made.folder, system, *STAGES, "register", environment=made.environment)
    return made


def predictor(project: Project, system: str) -> Predictor:
    return Predictor(project.artifact(system, "train/model"))


def gates(project: Project, system: str) -> dict[str, Any]:
    found = read_json(project.artifact(system, "register/registration.json"))
    return {gate["name"]: gate for gate in found["gates"]}


def test_good_tables_become_challengers(project: Project) -> None:
    for system in ("wine", "diabetes"):
        registration = read_json(project.artifact(system, "register/registration.json"))
        assert registration["alias"] == "challenger", registration["gates"]


def test_the_metrics_are_those_of_scikit_learn(project: Project) -> None:
    for system in ("diabetes", "neural"):
        found = read_json(project.artifact(system, "evaluate/evaluation.json"))["metrics"]
        table = pd.read_parquet(project.artifact(system, "evaluate/predictions.parquet"))
        actual, predicted = table["target"], table["prediction"]
        assert found["r2"]["value"] == pytest.approx(metrics.r2_score(actual, predicted), abs=1e-5)
        assert found["rmse"]["value"] == pytest.approx(metrics.root_mean_squared_error(actual, predicted), abs=1e-5)
        assert found["mae"]["value"] == pytest.approx(metrics.mean_absolute_error(actual, predicted), abs=1e-5)
        assert all(found[name]["low"] < found[name]["value"] < found[name]["high"] for name in ("r2", "rmse", "mae"))


def test_a_threshold_of_an_error_is_the_highest_allowed(project: Project) -> None:
    found = gates(project, "diabetes")["ceiling.mae"]
    assert found["passed"] and found["value"] < found["limit"] == 60
    failed = gates(project, "neural")["ceiling.rmse"]
    assert not failed["passed"] and "above the highest allowed 1" in failed["sentence"]
    assert gates(project, "neural")["threshold.r2"]["passed"]


def test_baselines_and_plots_of_numbers(project: Project) -> None:
    found = read_json(project.artifact("diabetes", "evaluate/evaluation.json"))
    train, test = (
        pd.read_parquet(project.artifact("diabetes", f"ingest/{split}.parquet")) for split in ("train", "test")
    )
    assert found["baselines"]["mean"]["mae"]["value"] == pytest.approx(
        (test["target"] - train["target"].mean()).abs().mean(), abs=1e-4
    )
    assert found["difference_to_mean"]["low"] > 0.2 and "difference_to_ridge" in found
    assert {"predicted.svg", "residuals.svg"} == {
        path.name for path in project.artifact("diabetes", "evaluate/plots").iterdir()
    }
    report = project.artifact("diabetes", "evaluate/report.html").read_text(encoding="utf-8")
    assert "predicted over actual" in report and "residuals over predictions" in report


def test_every_probe_of_another_form_passes(project: Project) -> None:
    for system in ("wine", "diabetes", "neural"):
        found = read_json(project.artifact(system, "evaluate/evaluation.json"))["probes"]
        passed = {probe["name"]: probe["passed"]["value"] for probe in found}
        assert passed["cells as texts"] == passed["columns in another order"] == passed["no value at all"] == 1


def test_the_trees_are_the_same_bytes_again_and_say_what_they_go_by(project: Project) -> None:
    weights = project.artifact("wine", "train/model/model.safetensors")
    first = sha256_file(weights)
    run_stages(project.folder, "wine", "train", environment=project.environment)
    assert sha256_file(weights) == first
    check_formats(weights.parent)
    explained = pd.read_csv(project.artifact("wine", "evaluate/explanation.csv"))
    assert explained["feature"].iloc[0] in ("proline", "flavanoids", "color_intensity")
    assert explained["weight"].sum() == pytest.approx(1)


def test_the_linear_model_is_a_ridge(project: Project) -> None:
    from sklearn.linear_model import Ridge

    config = read_json(project.artifact("diabetes", "train/model/config.json"))
    train, test = (
        pd.read_parquet(project.artifact("diabetes", f"ingest/{split}.parquet")) for split in ("train", "test")
    )
    names = [column["name"] for column in config["spec"]["columns"]]
    scale = train[names].std(ddof=0)
    target = config["spec"]["target"]
    ours = predictor(project, "diabetes").predict(test)["prediction"]
    # liblinear minimises w²/2 + C Σ e², and its bias is one more weight
    features = ((frame[names] - train[names].mean()) / scale for frame in (train, test))
    fitted, measured = (frame.assign(bias=1.0) for frame in features)
    ridge = Ridge(alpha=1 / (2 * config["solution"]["train/strength"]), fit_intercept=False)
    ridge.fit(fitted, (train["target"] - target["mean"]) / target["deviation"])
    theirs = ridge.predict(measured) * target["deviation"] + target["mean"]
    assert np.abs(ours - theirs).max() < 0.05 * target["deviation"]


def test_rows_are_asked_by_the_name_of_their_columns(project: Project) -> None:
    model = predictor(project, "wine")
    row = pd.read_parquet(project.artifact("wine", "ingest/test.parquet")).iloc[[0]]
    known = model.predict(row)["prediction"].iloc[0]
    written = {name: str(row[name].iloc[0]) for name in reversed(model.inputs)}
    assert model.predict(pd.DataFrame([written | {"more": "is ignored"}]))["prediction"].iloc[0] == known
    assert model.predict(pd.DataFrame([written | {"proline": None}]))["prediction"].notna().all()
    with pytest.raises(TidemillError, match="no column 'proline'"):
        model.predict(row.drop(columns="proline"))
    with pytest.raises(TidemillError, match="column proline: 'plenty' is no number"):
        model.predict(pd.DataFrame([written | {"proline": "plenty"}]))


def test_a_version_is_asked_in_batches_on_the_command_line_and_through_mlflow(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import mlflow

    from tidemill.serving import batch, monitoring, typed_row
    from tidemill.serving.loading import load
    from tidemill.serving.params import Monitor

    monkeypatch.chdir(project.folder)
    for variable, value in project.environment.items():
        monkeypatch.setenv(variable, value)
    table = pd.read_csv(project.folder / "raw/diabetes.csv")
    table.drop(columns="progression").assign(bmi=table["bmi"].astype(object).where(table.index > 0, "heavy")).to_csv(
        tmp_path / "new.csv", index=False
    )
    summary = batch.predict("models:/diabetes@challenger", tmp_path / "new.csv", lambda progress: None)
    written = pd.read_csv(summary.output)
    assert written["reason"].notna().sum() == summary.unanswered == 1
    assert written["reason"].iloc[0].endswith("column bmi: 'heavy' is no number")
    assert pd.api.types.is_float_dtype(written["prediction"]) and written["confidence"].isna().all()

    loaded = load("models:/diabetes@challenger")
    row = table.drop(columns="progression").iloc[5]
    typed = typed_row.row(loaded.predictor, [json.dumps(row.to_dict())])
    assert loaded.predictor.predict(typed)["prediction"].iloc[0] == pytest.approx(written["prediction"].iloc[5])
    served = mlflow.pyfunc.load_model(str(loaded.version.source)).predict(pd.DataFrame([row]))
    assert served["prediction"].iloc[0] == pytest.approx(written["prediction"].iloc[5])

    heavier = table.assign(bmi=table["bmi"] + 0.1, progression=table["progression"])
    heavier.to_csv(tmp_path / "heavier.csv", index=False)
    found = monitoring.compare("models:/diabetes@challenger", tmp_path / "heavier.csv", Monitor())
    drifted = {column.name for column in found.columns if column.drifted}
    assert {"bmi", "prediction"} <= drifted and "age" not in drifted and "target" not in drifted
    assert {"bmi.missing", "target"} <= {column.name for column in found.columns}
    assert found.performance is not None and found.performance.metric == "r2" and found.performance.fallen
