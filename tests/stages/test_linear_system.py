"""A linear model on n-grams through all stages: solved for in seconds, the same bits again, explained by its weights."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.projects import NGRAMS, ROOT, Project, write_reviews
from tests.stages.in_process import STAGES, run_stages
from tidemill.core.files import read_json, sha256_file
from tidemill.inference.predictor import Predictor
from tidemill.project.params import load_project
from tidemill.tokens.shards import Shards

SEVERAL = NGRAMS | {
    "task": "multilabel_classification",
    "source": {"path": "raw/goods.jsonl", "format": "jsonl"},
    "model": {"name": "linear", "loss": "logistic", "naive_bayes": True},
    "tokenize": {"unit": "ngrams", "words": [1, 2], "hashed": True, "vocabulary": 4096},
    "gates": {"thresholds": {"micro_f1": 0.8}},
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with one label a row, and another with several, both through all stages."""
    made = Project(tmp_path_factory.mktemp("linear") / "project")
    write_reviews(made.folder / "raw/reviews")
    _write_goods(made.folder / "raw/goods.jsonl")
    made.params(reviews=NGRAMS, goods=SEVERAL)
    made.commit()
    for system in ("reviews", "goods"):
        run_stages(made.folder, system, *STAGES, "register", environment=made.environment)
    return made


def _write_goods(path: Path, rows: int = 400) -> None:
    """Texts with words of any of three subjects."""
    generator = np.random.default_rng(0)
    words = {"food": ["bread", "soup", "tea"], "cloth": ["wool", "silk", "coat"], "tools": ["saw", "nail", "glue"]}
    with path.open("w", encoding="utf-8") as stream:
        for number in range(rows):
            chosen = [subject for subject in words if generator.random() < 0.5]
            own = [generator.choice(words[subject]) for subject in chosen]
            text = " ".join(generator.permutation([*own, f"lot {number}", "of", "the"]))
            stream.write(json.dumps({"text": text, "labels": chosen}) + "\n")


def test_it_is_as_good_as_its_baselines_and_becomes_the_challenger(project: Project) -> None:
    for system in ("reviews", "goods"):
        registration = read_json(project.artifact(system, "register/registration.json"))
        gates = {gate["name"]: gate for gate in registration["gates"]}
        assert gates["not_worse_than_baseline"]["passed"] and gates["not_worse_than_baseline"]["limit"] == 0.0
        assert registration["alias"] == "challenger", gates


def test_each_strength_is_a_point_of_the_curves_and_the_best_is_kept(project: Project) -> None:
    curves = pd.read_csv(project.artifact("reviews", "train/curves.csv")).pivot(
        index="step", columns="name", values="value"
    )
    assert curves["train/strength"].tolist() == NGRAMS["model"]["strengths"]
    assert {"train/loss", "train/accuracy", "val/loss", "val/accuracy", "train/scale"} < set(curves)
    kept = curves.loc[curves["val/loss"].idxmin()]
    summary = read_json(project.artifact("reviews", "train/metrics.json"))
    assert (summary["epochs"], summary["kept_epoch"]) == (2, kept.name)
    solution = read_json(project.artifact("reviews", "train/model/config.json"))["solution"]
    for name in ("train/strength", "val/loss"):
        assert solution[name] == summary[name] == pytest.approx(kept[name])


def test_the_record_names_no_param_that_was_not_read(project: Project) -> None:
    config = read_json(project.artifact("reviews", "train/model/config.json"))
    assert config["training"] == {
        "seed": 0,
        "determinism": "bitwise",
        "bagging": None,
        "calibrate": False,
        "threshold": None,
        "loss": None,  # of a task of labels, whose loss the model names
    }
    assert config["device"] == "cpu" and "length" not in config["spec"]
    tokenize = {"unit": "ngrams", "vocabulary": 300_000, "words": None, "characters": [1, 3]}
    assert config["spec"]["tokenize"] == tokenize | {"minimum_count": 2, "hashed": False}


def test_packed_rows_and_raw_texts_get_the_same_predictions(project: Project) -> None:
    for system in ("reviews", "goods"):
        predictor = Predictor(project.artifact(system, "train/model"))
        rows = pd.read_parquet(project.artifact(system, "ingest/test.parquet"))
        packed = predictor.predict_encoded(Shards(project.artifact(system, "tokenize/test")))
        raw = predictor.predict(rows)
        np.testing.assert_allclose(np.stack(packed["probabilities"]), np.stack(raw["probabilities"]), atol=1e-6)
        one_by_one = [predictor.predict(rows.iloc[[place]])["probabilities"].iloc[0] for place in range(5)]
        np.testing.assert_allclose(np.stack(one_by_one), np.stack(raw["probabilities"][:5]), atol=1e-6)


def test_the_stage_gives_the_same_bits_again_and_tells_its_progress(project: Project) -> None:
    weights = project.artifact("reviews", "train/model/model.safetensors")
    before = sha256_file(weights)
    project.environment["OMP_NUM_THREADS"] = "2"
    printed = project.run("python", "-m", "pipelines.train", "reviews")
    assert sha256_file(weights) == before
    assert "setting 1 train/strength 0.1 " in printed and "setting 2 train/strength 1 " in printed


def test_its_weights_explain_it(project: Project) -> None:
    table = pd.read_csv(project.artifact("reviews", "evaluate/explanation.csv"))
    assert set(table["label"]) == {"neg", "pos"} and (table["weight"] > 0).all()
    assert table[table["label"] == "neg"]["feature"].str.contains("差|失望|讨厌|后悔|难受").sum() >= 10
    assert "What its weights say" in project.artifact("reviews", "evaluate/report.html").read_text(encoding="utf-8")
    hashed = pd.read_csv(project.artifact("goods", "evaluate/explanation.csv"))
    assert set(hashed["kind"]) == {"buckets"} and set(hashed["label"]) == {"food", "cloth", "tools"}


def test_a_version_predicts_by_its_own_code_in_another_process(project: Project) -> None:
    printed = project.run("tidemill", "ask", "models:/reviews@challenger", "早餐很差，房间也失望")
    assert "neg" in printed


def test_a_sweep_tries_losses(project: Project) -> None:
    sweep = {"space": {"model.loss": {"choices": ["logistic", "hinge"]}}, "sampler": "grid", "trials": 2}
    project.params(reviews=NGRAMS | {"sweep": sweep})
    project.run("tidemill", "sweep", "reviews")
    assert "loss" in (project.folder / "sweep-reviews.patch").read_text(encoding="utf-8")


def test_the_published_lstm_is_a_preset_that_trains(new_project: Callable[[], Project]) -> None:
    made = new_project()
    write_reviews(made.folder / "raw/reviews", 120)
    preset = load_project(ROOT / "params.yaml").presets["sentiment_lstm"].model_dump(by_alias=True, exclude_unset=True)
    assert preset["model"]["name"] == "lstm" and preset["gates"]["baseline"] is None
    preset |= {"training": preset["training"] | {"epochs": 1}, "tokenize": preset["tokenize"] | {"length": 20}}
    preset = {name: block for name, block in preset.items() if block is not None}
    made.params(sentiment_lstm=preset | {"source": NGRAMS["source"], "evaluate": {"resamples": 100}})
    run_stages(made.folder, "sentiment_lstm", *STAGES, "register", environment=made.environment)
    registration = read_json(made.artifact("sentiment_lstm", "register/registration.json"))
    assert "not_worse_than_baseline" not in {gate["name"] for gate in registration["gates"]}
