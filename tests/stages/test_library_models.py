"""Checkpoints of the library through all six stages: a text classifier, and pictures on the features of a frozen base."""

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tokenizers import Tokenizer

from tests.projects import DIGITS, REVIEWS, Project, write_digits, write_reviews
from tests.stages.in_process import STAGES, run_stages
from tests.unit.models.checkpoints import PREPROCESSOR, checkpoint
from tidemill.core.files import read_json, sha256_file, write_json
from tidemill.core.params import read_yaml
from tidemill.core.pictures import decoded
from tidemill.core.text import normalised
from tidemill.inference.predictor import Predictor
from tidemill.registry.package import SAFE_FORMATS
from tidemill.tokens.tokenizers import fit_vocabulary

pytestmark = pytest.mark.slow
TRAINING = {"epochs": 4, "batch": 32, "lr": 2e-3, "precision": "32", "save_every": 3, "threads": 1}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two systems that went through all stages."""
    made = Project(tmp_path_factory.mktemp("library") / "project")
    made.params(reviews=reviews(made.folder), digits=digits(made.folder))
    made.commit()
    made.run("python", "-m", "pipelines.check")
    for system in ("reviews", "digits"):
        run_stages(made.folder, system, *STAGES, environment=made.environment)
        made.stages(system, "register")
    return made


def reviews(folder: Path) -> dict[str, Any]:
    """A small ELECTRA with a tokenizer of the reviews."""
    write_reviews(folder / "raw/reviews")
    texts = [line for path in sorted((folder / "raw/reviews").iterdir()) for line in path.read_text().splitlines()]
    params = published(folder, "electra", "labels", vocab_size=200, initializer_range=0.1)
    fit_vocabulary(texts, "wordpiece", 200).save(str(folder / "raw/electra/tokenizer.json"))
    tokenizer = {"path": "raw/electra", "sha256": sha256_file(folder / "raw/electra/tokenizer.json")}
    return REVIEWS | {"tokenize": {"tokenizer": tokenizer, "length": 24}, "model": params, "training": TRAINING}


def digits(folder: Path) -> dict[str, Any]:
    """A small ViT, frozen, and its preprocessor."""
    write_digits(folder / "raw/digits")
    params = published(folder, "vit", "pixels") | {"unfreeze": 0}
    write_json(folder / "raw/vit/preprocessor_config.json", PREPROCESSOR)
    preprocessor = {"path": "raw/vit", "sha256": sha256_file(folder / "raw/vit/preprocessor_config.json")}
    return DIGITS | {
        "tokenize": {"preprocessor": preprocessor},
        "model": params,
        "training": TRAINING | {"epochs": 6, "lr": 2e-2},
        "gates": {"thresholds": {"accuracy": 0.2}, "baseline": None},  # drawn weights are no match for pixels
    }


def published(folder: Path, architecture: str, kind: str, **values: Any) -> dict[str, Any]:
    _, params = checkpoint(folder / "raw" / architecture, architecture, kind, **values)
    params["checkpoint"]["path"] = f"raw/{architecture}"
    return params


@pytest.mark.parametrize(("system", "least"), [("reviews", 0.9), ("digits", 0.25)])
def test_it_learned_and_passed_its_gates(project: Project, system: str, least: float) -> None:
    assert read_json(project.artifact(system, "evaluate/metrics.json"))["accuracy"] > least
    assert read_json(project.artifact(system, "register/registration.json"))["passed"]
    files = list(project.artifact(system, "train/model").iterdir())
    assert {path.suffix for path in files} <= SAFE_FORMATS


def test_plain_transformers_loads_the_version_and_gives_the_same_probabilities(project: Project) -> None:
    """With the tokenizer that the library itself finds in the folder."""
    import transformers

    folder = project.artifact("reviews", "train/model")
    texts = [normalised(text) for text in ("今天的房间很好，早餐也舒服。", "上周的电脑很差，键盘也失望。", "书")]
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    assert tokenizer(texts)["input_ids"] == [
        code.ids for code in Tokenizer.from_file(str(folder / "tokenizer.json")).encode_batch(texts)
    ]
    with torch.inference_mode():
        logits = model(**tokenizer(texts, return_tensors="pt", padding=True)).logits.double()
    ours = Predictor(folder).predict(texts)
    np.testing.assert_allclose([row[1] for row in ours["probabilities"]], logits[:, 0].sigmoid(), atol=1e-6)
    assert model.config.id2label == {0: "pos"}


def test_plain_transformers_classifies_a_picture_as_the_version_does(project: Project) -> None:
    import transformers

    folder = project.artifact("digits", "train/model")
    rows = pd.read_parquet(project.artifact("digits", "ingest/test.parquet")).head(4)
    model = transformers.AutoModelForImageClassification.from_pretrained(folder).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    images = [decoded(image).convert("RGB") for image in rows["image"]]
    with torch.inference_mode():
        chances = model(**processor(images, return_tensors="pt")).logits.double().softmax(1)
    ours = Predictor(folder).predict(rows)
    np.testing.assert_allclose(np.stack(list(ours["probabilities"])), chances, atol=1e-5)
    assert list(model.config.id2label.values()) == list("0123456789")


def test_the_registered_version_serves_without_its_checkpoint(project: Project) -> None:
    moved = project.folder / "raw/electra.moved"
    shutil.move(project.folder / "raw/electra", moved)
    try:
        assert project.run("tidemill", "ask", "models:/reviews/1", "今天的房间很好").splitlines()[-1].startswith("pos ")
    finally:
        shutil.move(moved, project.folder / "raw/electra")


def test_a_training_that_is_killed_ends_with_the_same_files(project: Project) -> None:
    folder = project.artifact("reviews", "train")
    before = {path.name: sha256_file(path) for path in sorted((folder / "model").iterdir())}
    command = [sys.executable, "-m", "pipelines.train", "reviews"]
    process = subprocess.Popen(command, cwd=project.folder, env=project.environment, stdout=subprocess.DEVNULL)
    kept = project.folder / ".tidemill/checkpoints/reviews"
    while process.poll() is None and not list(kept.glob("*/last.ckpt")):
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -9, "the training ended before it was killed"
    shutil.rmtree(folder)
    said = project.run(*command)
    assert "resumed from step" in said
    assert {path.name: sha256_file(path) for path in sorted((folder / "model").iterdir())} == before


def test_a_task_that_it_cannot_do_is_refused_before_the_first_stage(project: Project) -> None:
    systems = read_yaml(project.folder / "params.yaml")["systems"]
    wrong = systems["reviews"] | {"model": systems["digits"]["model"]}
    try:
        project.params(reviews=wrong)
        done = project.start("python", "-m", "pipelines.check")
    finally:
        project.params(**systems)
    assert done.returncode == 1
    assert "systems.reviews.model: vit cannot go from tokens to labels, as text_classification does" in done.stderr
