"""Ensembles by bagging: one version of several networks, whose prediction is the mean of theirs."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save_file

from tests.projects import DIGITS, NGRAMS, Project, write_digits, write_reviews
from tests.stages.in_process import STAGES, run_stages
from tidemill.core.errors import TidemillError
from tidemill.core.files import read_json, sha256_file
from tidemill.inference.predictor import Predictor
from tidemill.tasks.common import learning
from tidemill.training.params import Bagging, Training, completed

BAGGED = DIGITS | {"training": DIGITS["training"] | {"bagging": {"members": 3}, "lr": 0.01}}
SOLVED = NGRAMS | {"training": {"bagging": {"members": 2}, "calibrate": True}}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = Project(tmp_path_factory.mktemp("bagging") / "project")
    write_digits(made.folder / "raw/digits")
    write_reviews(made.folder / "raw/reviews", 120)
    made.params(digits=BAGGED, reviews=SOLVED)
    made.commit()
    run_stages(made.folder, "digits", environment=made.environment)
    run_stages(made.folder, "reviews", *STAGES, "register", environment=made.environment)
    return made


def members(project: Project, system: str, folder: Any) -> list[Predictor]:
    """The members as models of their own, taken out of the ensemble's file by hand."""
    model = project.artifact(system, "train/model")
    config, weights = read_json(model / "config.json"), load_file(model / "model.safetensors")
    spec = {name: value for name, value in config["spec"].items() if name not in ("members", "several", "temperature")}
    found = []
    for number in range(config["spec"]["members"]):
        own = folder / f"{system}-{number}"
        own.mkdir()
        (own / "config.json").write_text(json.dumps(config | {"spec": spec}), encoding="utf-8")
        prefix = f"members.{number}."
        save_file(
            {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}, own / "model.safetensors"
        )
        if (model / "tokenizer.json").exists():
            (own / "tokenizer.json").write_bytes((model / "tokenizer.json").read_bytes())
        found.append(Predictor(own))
    return found


def chances(predictor: Predictor, rows: pd.DataFrame) -> np.ndarray:
    return np.stack(predictor.predict(rows)["probabilities"].to_list())


def test_its_prediction_is_the_mean_of_its_members(project: Project, tmp_path: Any) -> None:
    for system, count in (("digits", 3), ("reviews", 2)):
        rows = pd.read_parquet(project.artifact(system, "ingest/test.parquet"))
        own = [chances(member, rows) for member in members(project, system, tmp_path)]
        assert len(own) == count and not np.allclose(own[0], own[1], atol=1e-3), "each saw other rows"
        mean = np.mean(own, axis=0)
        ensemble = Predictor(project.artifact(system, "train/model"))
        np.testing.assert_allclose(chances(ensemble.as_trained(), rows), mean, atol=1e-6)
        predicted = pd.read_parquet(project.artifact(system, "evaluate/predictions.parquet"))["prediction"]
        labels = np.array(ensemble.spec["labels"])
        assert (predicted == labels[mean.argmax(axis=1)]).mean() > 0.99, "a temperature changes no likeliest label"


def test_the_stage_gives_the_same_bits_again(project: Project) -> None:
    for system in ("digits", "reviews"):
        weights = project.artifact(system, "train/model/model.safetensors")
        before = sha256_file(weights)
        run_stages(project.folder, system, "train", environment=project.environment)
        assert sha256_file(weights) == before


def test_each_member_has_curves_of_its_own(project: Project) -> None:
    curves = pd.read_csv(project.artifact("digits", "train/curves.csv"))
    assert {"val/loss", "member_2/val/loss", "member_3/val/loss"} <= set(curves["name"])


def test_it_is_a_version_like_any_other(project: Project) -> None:
    registration = read_json(project.artifact("reviews", "register/registration.json"))
    assert registration["version"] == "1" and registration["passed"]
    printed = project.run("tidemill", "ask", f"models:/reviews/{registration['version']}", "早餐很差，房间也失望")
    assert "neg" in printed


def test_what_cannot_be_bagged_is_refused_before_the_first_stage() -> None:
    with pytest.raises(TidemillError, match=r"systems\.poems\.training\.bagging: this task gives no labels"):
        completed(Training(bagging=Bagging(members=2)), learning.of("text_generation"), False, "systems.poems")
    seeds = Training(bagging=Bagging(members=2, bootstrap=False))
    with pytest.raises(TidemillError, match="a solver finds the same weights from any seed"):
        completed(seeds, learning.of("text_classification"), True, "systems.reviews")
