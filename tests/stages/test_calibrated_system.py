"""Calibration and thresholds through all stages: found on validation rows, in the version, used by its one predictor."""

import numpy as np
import pandas as pd
import pytest

from tests.projects import DIGITS, NGRAMS, Project, write_digits, write_reviews
from tests.stages.in_process import STAGES, run_stages
from tidemill.core.files import read_json
from tidemill.inference.predictor import Predictor
from tidemill.tokens.shards import Shards

RECALL = {"calibrate": True, "threshold": {"metric": "precision", "least": 0.5, "label": "neg"}}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = Project(tmp_path_factory.mktemp("reading") / "project")
    write_digits(made.folder / "raw/digits")
    write_reviews(made.folder / "raw/reviews")
    digits = DIGITS | {"training": DIGITS["training"] | {"calibrate": True}}
    made.params(digits=digits, plain=DIGITS, reviews=NGRAMS | {"training": RECALL})
    made.commit()
    for system in ("digits", "plain"):
        run_stages(made.folder, system, environment=made.environment)
    run_stages(made.folder, "reviews", *STAGES, "register", environment=made.environment)
    return made


def test_a_temperature_changes_no_weight_and_no_prediction(project: Project) -> None:
    folders = [project.artifact(system, "train/model") for system in ("digits", "plain")]
    assert len({(folder / "model.safetensors").read_bytes() for folder in folders}) == 1
    calibrated, plain = (read_json(folder / "config.json")["spec"] for folder in folders)
    assert "temperature" not in plain and calibrated["temperature"] != pytest.approx(1.0, abs=0.01)
    tables = [
        pd.read_parquet(project.artifact(system, "evaluate/predictions.parquet")) for system in ("digits", "plain")
    ]
    assert tables[0]["prediction"].equals(tables[1]["prediction"])
    given, before = (np.stack(table["probabilities"].to_list()) for table in tables)
    expected = before ** (1 / calibrated["temperature"])
    np.testing.assert_allclose(given, expected / expected.sum(axis=1, keepdims=True), atol=1e-6)


def test_the_report_says_what_it_changed(project: Project) -> None:
    evaluations = {
        system: read_json(project.artifact(system, "evaluate/evaluation.json")) for system in ("digits", "plain")
    }
    assert evaluations["digits"]["as_trained"] == evaluations["plain"]["metrics"]
    assert "as_trained" not in evaluations["plain"]
    after, before = evaluations["digits"]["metrics"], evaluations["digits"]["as_trained"]
    assert after["log_loss"]["value"] < before["log_loss"]["value"]
    assert after["calibration_error"]["value"] < before["calibration_error"]["value"]
    page = project.artifact("digits", "evaluate/report.html").read_text(encoding="utf-8")
    assert "Calibration and thresholds" in page and "Logits are divided by" in page
    assert "Calibration and" not in project.artifact("plain", "evaluate/report.html").read_text(encoding="utf-8")


def test_a_threshold_is_that_of_the_version_everywhere(project: Project) -> None:
    predictor = Predictor(project.artifact("reviews", "train/model"))
    [(label, threshold)] = predictor.spec["thresholds"].items()
    assert label == "neg"
    rows = pd.read_parquet(project.artifact("reviews", "ingest/test.parquet"))
    for found in (
        predictor.predict(rows),
        predictor.predict_encoded(Shards(project.artifact("reviews", "tokenize/test"))),
    ):
        chances = np.stack(found["probabilities"].to_list())
        assert (found["prediction"] == np.where(chances[:, 0] >= threshold, "neg", "pos")).all()
        np.testing.assert_allclose(
            found["confidence"], np.where(chances[:, 0] >= threshold, chances[:, 0], chances[:, 1])
        )
    measured = pd.read_parquet(project.artifact("reviews", "evaluate/predictions.parquet"))
    assert measured["prediction"].tolist() == predictor.predict(rows)["prediction"].tolist()
    printed = project.run("tidemill", "ask", "models:/reviews@challenger", "早餐很差，房间也失望")
    assert "neg" in printed


def test_a_threshold_keeps_on_validation_rows_what_it_must(project: Project) -> None:
    predictor = Predictor(project.artifact("reviews", "train/model"))
    rows = pd.read_parquet(project.artifact("reviews", "ingest/valid.parquet"))
    predicted = predictor.predict(rows)["prediction"].eq("neg")
    assert predicted[rows["label"].eq("neg")].mean() >= 0.5


def test_ten_labels_have_no_threshold(project: Project) -> None:
    project.params(digits=DIGITS | {"training": {"threshold": {}}})
    done = project.stage("train", "digits")
    assert done.returncode == 1 and "one decides between two labels, but a row here has one of 10" in done.stderr
