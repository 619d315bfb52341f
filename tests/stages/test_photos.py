"""Pictures of mixed kinds in folders, through their stages, on a frozen base and on one that is trained."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from transformers import ResNetConfig, ResNetModel

from tests.projects import Project
from tidemill.core.files import read_json, sha256_file
from tidemill.inference.predictor import Predictor

COLOURS = {"red": (200, 60, 60), "green": (60, 200, 60), "blue": (60, 60, 200)}
SLIGHT = ("a slight shift", "a little darker", "a little brighter", "mirrored", "half a picture of another class")
SHAPE = {"depths": [1, 1], "widths": [16, 32], "stem": 8, "block": "basic"}
OWN = [
    {"name": "mirrored", "mirror": True},
    {"name": "no light", "brightness": 0.0, "changes": True},
    {"name": "half covered", "cover": 0.5, "rotation": 5.0, "shift": -0.1, "lowers": "blue"},
]


def write_pictures(folder: Path, each: int = 50) -> None:
    """Noisy pictures of three colours, of two sizes, as PNG and JPEG, in colour and with transparency; one damaged."""
    generator = np.random.default_rng(0)
    for colour, middle in COLOURS.items():
        (folder / colour).mkdir(parents=True)
        for number in range(each):
            size = (24, 20) if number % 3 else (30, 30)
            pixels = np.clip(generator.normal(middle, 40, (*size, 3)), 0, 255).astype(np.uint8)
            picture = Image.fromarray(pixels).convert("RGBA" if number % 4 == 0 else "RGB")
            picture.save(folder / colour / f"{number}.{'png' if number % 4 < 2 else 'jpg'}")
    (folder / "red" / "damaged.png").write_bytes((folder / "red" / "0.png").read_bytes()[:100])


def write_weights(folder: Path) -> dict[str, str]:
    """A small residual network, saved by the library itself; the params that pin it."""
    torch.manual_seed(0)
    config = ResNetConfig(embedding_size=8, hidden_sizes=[16, 32], depths=[1, 1], layer_type="basic")
    ResNetModel(config).save_pretrained(folder)
    return {"path": "raw/weights", "sha256": sha256_file(folder / "model.safetensors")}


def system(pinned: dict[str, str], unfreeze: int | str, **training: Any) -> dict[str, Any]:
    return {
        "task": "image_classification",
        "source": {"path": "raw/pictures", "format": "pictures", "options": {}},
        "ingest": {"valid": 0.2, "test": 0.2, "near_duplicates": None},
        "validate": {"minimum_rows": 3},
        "tokenize": {"size": [24, 24], "channels": 3},
        "model": {"name": "resnet", **SHAPE, "pretrained": pinned, "unfreeze": unfreeze},
        "training": {"epochs": 5, "batch": 16, "lr": 0.02, "log_every": 4} | training,
        "evaluate": {"resamples": 100, "probes": OWN},
        "gates": {},
    }


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = Project(tmp_path_factory.mktemp("photos") / "project")
    write_pictures(made.folder / "raw/pictures")
    pinned = write_weights(made.folder / "raw/weights")
    augment = {"crop": 0.2, "flip": True, "rotation": 10.0, "colour": 0.1, "mixup": 0.2}
    made.params(frozen=system(pinned, 0), trained=system(pinned, "all", augment=augment))
    made.stages("frozen", "ingest", "validate", "tokenize")
    return made


def test_a_damaged_picture_is_listed_and_the_rest_goes_on(project: Project) -> None:
    rejected = pd.read_parquet(project.artifact("frozen", "ingest/rejected.parquet"))
    assert rejected["row"].tolist() == ["red/damaged.png"]
    assert "not a readable picture" in rejected["reason"][0]
    assert sum(read_json(project.artifact("frozen", "ingest/profile.json"))["rows"].values()) == 150


def test_a_frozen_base_runs_once_and_the_model_predicts_pictures(project: Project) -> None:
    printed = [project.run("python", "-m", "pipelines.train", "frozen") for _ in range(2)]
    assert ["computing the features" in text for text in printed] == [True, False]
    project.stages("frozen", "evaluate")
    evaluation = read_json(project.artifact("frozen", "evaluate/evaluation.json"))
    assert evaluation["metrics"]["accuracy"]["value"] > 0.8
    report = project.artifact("frozen", "evaluate/report.html").read_text(encoding="utf-8")
    strip = report.partition("Examples it gets right")[2].partition("<h2>")[0]
    assert [strip.count(f"<bdi>{colour}</bdi>") for colour in COLOURS] == [1, 1, 1] and strip.count("<img") == 3
    shares = {found["name"]: found["passed"]["value"] for found in evaluation["probes"]}
    assert {name for name, share in shares.items() if share < 1} <= {"no light", "half covered", *SLIGHT}, shares
    assert all(shares[name] > 0.8 for name in SLIGHT) and 0 < shares["no light"] < 1
    assert shares.keys() >= {
        "black",
        "white",
        "one pixel",
        "half transparent",
        "huge",
        "another file format",
        "mirrored",
    }
    assert "Input that it must handle" in report
    rows = pd.read_parquet(project.artifact("frozen", "ingest/test.parquet"))
    predicted = Predictor(project.artifact("frozen", "train/model")).predict(rows["image"].tolist())
    evaluated = pd.read_parquet(project.artifact("frozen", "evaluate/predictions.parquet"))
    assert predicted["prediction"].tolist() == evaluated["prediction"].tolist()


def test_an_unfrozen_base_learns_from_augmented_pictures(project: Project) -> None:
    project.stages("trained", "ingest", "tokenize", "train")
    metrics = read_json(project.artifact("trained", "train/metrics.json"))
    assert metrics["val/accuracy"] > 0.6
    assert not (project.folder / ".tidemill/features/trained").exists()
