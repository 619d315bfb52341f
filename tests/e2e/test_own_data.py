"""Data of one's own becomes a registered model by params alone, and no other system notices."""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.projects import REVIEWS, Project, write_reviews
from tidemill.core.files import read_json
from tidemill.onboarding.new import propose, write

TOPICS = {"sport": "match goal team coach striker league", "politics": "vote law senate minister treaty budget"}
COMMON = [
    "the",
    "a",
    "this",
    "new",
    "late",
    "big",
    "next",
    "last",
    "today",
    "after",
    "before",
    "with",
    "from",
    "over",
    "many",
    "more",
    "our",
    "their",
]


@pytest.fixture
def project(new_project: Callable[[], Project], monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with one system, and the current folder."""
    made = new_project()
    write_reviews(made.folder / "raw/reviews", 40)
    made.params(reviews=REVIEWS)
    made.commit()
    monkeypatch.chdir(made.folder)
    return made


def write_news(path: Path, rows: int = 400) -> None:
    """Short texts on two topics, told apart by some of their words, in columns called otherwise than ours."""
    pick = random.Random(0)
    topics = [pick.choice(list(TOPICS)) for _ in range(rows)]
    words = [pick.choices(TOPICS[topic].split() + COMMON * 2, k=pick.randint(15, 30)) for topic in topics]
    table = pd.DataFrame({"nr": range(rows), "headline and body": [" ".join(text) for text in words], "topic": topics})
    table.to_csv(path, index=False, sep=";", encoding="utf-16")


def write_pictures(folder: Path, rows: int = 60) -> None:
    """Small pictures in a folder a class, bright above or bright below; one is damaged."""
    generator = np.random.default_rng(0)
    for number in range(rows):
        above = number % 2 == 0
        pixels = generator.integers(0, 100, (8, 8, 3), dtype=np.uint8)
        pixels[slice(0, 4) if above else slice(4, 8)] += 150
        path = folder / ("above" if above else "below") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    damaged = folder / "above" / "0.png"
    damaged.write_bytes(damaged.read_bytes()[:60])


def test_a_table_of_texts_becomes_a_registered_model(project: Project) -> None:
    project.run("dvc", "repro", "ingest@reviews")
    write_news(project.folder / "news.csv")
    write(propose("news", "text-classification", "news.csv"))
    project.run("dvc", "repro", "register@news")

    evaluation = read_json(project.artifact("news", "evaluate/evaluation.json"))
    found = evaluation["metrics"]["accuracy"]
    assert found["low"] > evaluation["baselines"]["majority"]["accuracy"]["high"]
    assert read_json(project.artifact("news", "register/registration.json"))["passed"]
    assert "up to date" in project.run("dvc", "status", "ingest@reviews", "register@news")


def test_a_folder_of_pictures_becomes_checked_tables_and_a_damaged_one_is_listed(project: Project) -> None:
    write_pictures(project.folder / "pictures")
    write(propose("sides", None, "pictures"))
    project.stages("sides", "ingest", "validate", "tokenize")
    kept = [
        pd.read_parquet(project.artifact("sides", f"ingest/{split}.parquet")) for split in ("train", "valid", "test")
    ]
    rejected = pd.read_parquet(project.artifact("sides", "ingest/rejected.parquet"))
    assert sum(map(len, kept)) == 59
    assert rejected["row"].tolist() == ["above/0.png"]
    assert "not a readable picture" in rejected["reason"].iloc[0]
    assert read_json(project.artifact("sides", "tokenize/tokens.json"))["shape"] == [8, 8, 3]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["same"] * 200, "all 200 labelled rows are 'same': a classifier needs two classes"),
        ([f"id {number}" for number in range(200)], "200 rows have 200 different labels"),
        ([None] * 200, "no row has a label"),
        ([f"class {number % 2000}" for number in range(6000)], "2,000 labels, but at most 1,000"),
    ],
)
def test_labels_from_which_nothing_can_be_learned_stop_ingest_in_one_line(
    project: Project, labels: list[str | None], message: str
) -> None:
    table = pd.DataFrame({"text": [f"text number {number}" for number in range(len(labels))], "label": labels})
    table.to_csv("table.csv", index=False)
    project.params(table=REVIEWS | {"source": {"path": "table.csv", "format": "csv"}})
    done = project.stage("ingest", "table")
    assert done.returncode == 1
    assert done.stderr.startswith("table: ") and message in done.stderr and done.stderr.count("\n") == 1
    assert not project.artifact("table", "ingest").exists()
