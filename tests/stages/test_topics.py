"""News with any number of topics, proposed by `tidemill new`, through all six stages."""

import json
import random

import pandas as pd
import pytest

from tests.projects import Project
from tests.stages.in_process import STAGES, run_stages
from tidemill.core.files import read_json
from tidemill.inference.predictor import Predictor

TOPICS = {
    "sport": ["match", "goal", "team", "coach", "league"],
    "law": ["court", "judge", "vote", "senate", "rule"],
    "food": ["bread", "soup", "chef", "spice", "oven"],
    "space": ["moon", "rocket", "orbit", "star", "probe"],
}
FILLERS = ["the", "a", "of", "and", "some", "many", "it", "was", "there", "with"]


def news(chance: random.Random) -> dict[str, object]:
    """A text with words of its topics, of which it has none to three."""
    topics = chance.sample(list(TOPICS), chance.choice([0, 1, 1, 2, 2, 3]))
    words = [word for topic in topics for word in chance.choices(TOPICS[topic], k=3)]
    words += chance.choices(FILLERS, k=chance.randint(4, 9))
    chance.shuffle(words)
    return {"body": " ".join(words), "tags": topics}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose one system was proposed for its data, and went through all stages."""
    made = Project(tmp_path_factory.mktemp("topics") / "project")
    chance = random.Random(0)
    rows = [news(chance) for _ in range(900)]
    rows += [{"body": rows[0]["body"], "tags": ["food", "law", "sport", "space"]}, {"body": "never", "tags": None}]
    (made.folder / "news.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    made.params(other=OTHER)
    made.run("tidemill", "new", "topics", "--source", "news.jsonl", "--budget", "0")
    made.commit()
    run_stages(made.folder, "topics", *STAGES, "register", environment=made.environment)
    return made


OTHER = {
    "task": "text_classification",
    "source": {"path": "news.jsonl", "format": "jsonl", "columns": {"text": "body"}},
    "ingest": {},
    "validate": {},
    "tokenize": {},
    "model": {"name": "lstm"},
    "training": {},
    "evaluate": {},
    "gates": {},
}


def test_it_learned_the_topics_and_passed_its_gate(project: Project) -> None:
    evaluation = read_json(project.artifact("topics", "evaluate/evaluation.json"))
    assert evaluation["task"] == "multilabel_classification" and evaluation["main_metric"] == "micro_f1"
    assert evaluation["metrics"]["micro_f1"]["value"] > 0.9
    assert evaluation["difference_to_majority"]["low"] > 0.3
    assert set(evaluation["per_class"]) == set(TOPICS)
    rows = pd.read_parquet(project.artifact("topics", "ingest/test.parquet"))
    assert evaluation["per_class"]["food"]["support"] == rows["labels"].map(lambda labels: "food" in labels).sum()
    assert read_json(project.artifact("topics", "register/registration.json"))["passed"] is True


def test_contradictions_are_rejected_and_rows_without_a_topic_stay(project: Project) -> None:
    rejected = pd.read_parquet(project.artifact("topics", "ingest/rejected.parquet"))
    assert rejected["reason"].value_counts()["the same content has different labels"] == 2
    train = pd.read_parquet(project.artifact("topics", "ingest/train.parquet"))
    assert train["labels"].map(len).min() == 0 and train["labels"].map(len).max() == 3


def test_it_predicts_any_number_of_topics(project: Project) -> None:
    predictor = Predictor(project.artifact("topics", "train/model"))
    found = predictor.predict(
        ["the team and the coach won a match", "moon rocket orbit and judge court senate", "it was"]
    )
    assert found["prediction"].tolist() == ["sport", "law; space", ""]
    assert found["probabilities"].map(lambda chances: (chances >= 0).all() and (chances <= 1).all()).all()


def test_the_report_and_the_card_show_sets_of_labels(project: Project) -> None:
    page = project.artifact("topics", "evaluate/report.html").read_text(encoding="utf-8")
    assert all(
        word in page for word in ("micro F1", "subset accuracy", "<h2>Classes</h2>", "Changes that must not matter")
    )
    assert "any of 4 classes out" in project.artifact("topics", "evaluate/model-card.md").read_text(encoding="utf-8")
    probes = read_json(project.artifact("topics", "evaluate/evaluation.json"))["probes"]
    shares = {found["name"]: found["passed"]["value"] for found in probes if found["rows"]}
    assert "small letters" not in shares, "all of these texts have them already"
    assert shares["a text of another class before it"] > 0.9 and shares["capitals"] == shares["very long"] == 1
