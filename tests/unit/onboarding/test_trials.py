"""Trials: a new system gets what is measured to be best for its data, with a gate that its own trial passes."""

import io
import random
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import f1_score
from sklearn.preprocessing import MultiLabelBinarizer
from typer.testing import CliRunner

from tidemill.cli import app
from tidemill.core.errors import TidemillError
from tidemill.onboarding import halving
from tidemill.onboarding.new import propose, trials_file, write
from tidemill.onboarding.sampling import FOLDS, Rows, Split
from tidemill.onboarding.trial import Trial
from tidemill.project.params import load_system
from tidemill.tasks.common import proposal

WORDS = {"sport": "match goal team coach", "law": "court judge law vote"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a project without systems, and the current one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("sources: {}\nsystems: {}\n", encoding="utf-8")
    return tmp_path


def by_words(rows: int) -> pd.DataFrame:
    """Texts that any n-gram gives away, among words that say nothing."""
    pick = random.Random(0)
    topics = [pick.choice(list(WORDS)) for _ in range(rows)]
    noise = [f"w{number}" for number in range(300)]
    texts = [" ".join([*pick.choices(noise, k=12), pick.choice(WORDS[topic].split())]) for topic in topics]
    return pd.DataFrame({"text": texts, "topic": topics})


def at_random(rows: int) -> pd.DataFrame:
    return by_words(rows).assign(topic=[random.Random(number).choice("ab") for number in range(rows)])


def test_the_best_candidate_is_chosen_and_its_reasons_are_kept(folder: Path) -> None:
    by_words(700).to_csv("news.csv", index=False)
    said: list[str] = []
    found = propose("news", None, "news.csv", budget=60, report=said.append)
    write(found)
    assert load_system("news").model.name == "linear"
    assert {trial.candidate for trial in found.trials} == {"linear on n-grams", "recurrent network"}
    text = (folder / "params.yaml").read_text(encoding="utf-8")
    above = text.partition("  news:")[0]
    assert "# Chosen by trials, for the highest accuracy" in above and above.count("# - ") == 2
    assert "recurrent network" in said[0] and len(said) >= 3
    assert any("training on all rows takes about" in line for line in found.lines)
    kept = pd.read_csv(trials_file("news"))
    assert kept["candidate"].tolist() == [trial.candidate for trial in found.trials]
    best = kept.set_index("candidate").loc["linear on n-grams"]
    assert (
        best["accuracy low"] - 0.01 < load_system("news").gates.limits["thresholds"]["accuracy"] <= best["accuracy low"]
    )


def test_no_threshold_is_proposed_that_a_trivial_model_passes(folder: Path) -> None:
    at_random(400).to_csv("news.csv", index=False)
    found = propose("news", None, "news.csv", budget=30, report=lambda line: None)
    write(found)
    assert load_system("news").gates.limits.get("thresholds") is None
    assert any("clearly better than a trivial model" in line for line in found.lines)


def test_without_a_budget_nothing_is_tried(folder: Path) -> None:
    by_words(300).to_csv("news.csv", index=False)
    found = propose("news", None, "news.csv", budget=0)
    write(found)
    assert found.trials == [] and not trials_file("news").exists()
    assert any("nothing else was tried" in line for line in found.lines)


def test_a_round_that_does_not_fit_the_budget_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of four candidates two go on, with three times as many rows, as long as these take less than what is left."""
    rows = _rows(9000)
    tried: list[tuple[str, int]] = []

    def trial(name: str, system: object, splits: Iterable[Split]) -> Trial:
        [(train, _)] = splits
        tried.append((name, len(train)))
        value = {"value": "abcd".index(name) / 10, "low": 0.0, "high": 1.0}
        return Trial(name, len(train), {"accuracy": value}, seconds=len(train) / 500, training=1.0)

    monkeypatch.setattr(halving, "tried", trial)
    blocks = {name: {"task": "text_classification"} for name in "abcd"}
    trials = halving.halve("text_classification", lambda train: blocks, rows, budget=7, report=lambda line: None)
    assert tried == [("a", 500), ("b", 500), ("c", 500), ("d", 500), ("d", 1500), ("c", 1500)]
    assert halving.winner("text_classification", trials).candidate == "d"
    tried.clear()
    halving.halve("text_classification", lambda train: blocks, rows, budget=1, report=lambda line: None)
    assert tried == [("a", 500), ("b", 500), ("c", 500), ("d", 500)]


def test_a_candidate_that_cannot_be_trained_is_left_out_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def trial(name: str, system: object, splits: Iterable[Split]) -> Trial:
        if name != "c":
            raise TidemillError("its weights are missing")
        return Trial(name, 40, {"accuracy": {"value": 1.0, "low": 1.0, "high": 1.0}}, 1.0, 1.0)

    monkeypatch.setattr(halving, "tried", trial)
    said: list[str] = []
    blocks = {name: {"task": "text_classification"} for name in "abc"}
    trials = halving.halve("text_classification", lambda train: blocks, _rows(50), 9, said.append)
    assert [trial.candidate for trial in trials] == ["c"]
    assert said[:2] == ["a: left out: its weights are missing", "b: left out: its weights are missing"]
    with pytest.raises(TidemillError, match="no candidate can be trained"):
        halving.halve("text_classification", lambda train: {"a": blocks["a"]}, _rows(50), 9, said.append)


def test_a_sample_has_every_label_and_validation_rows_have_no_other() -> None:
    labels = pd.Series(["common"] * 990 + ["rare"] * 8 + ["unseen"] * 2)
    table = pd.DataFrame({"text": labels.index.astype(str), "label": labels})
    rows = Rows(table.iloc[:994], table.iloc[994:], labels, table["text"])
    train, valid = rows.sample(10)
    assert len(train) == 10 and set(train["label"]) == {"common", "rare"}
    assert valid["label"].tolist() == ["rare"] * 4
    several = pd.Series(["a", "b", "a", "c"], index=[0, 0, 1, 2])
    _, valid = Rows(table.iloc[:1], table.iloc[1:3], several, table["text"]).sample(5)
    assert valid.index.tolist() == [1]


def test_each_row_is_validated_in_one_fold_and_what_belongs_together_in_the_same() -> None:
    labels = pd.Series(["common"] * 58 + ["rare"] * 2)
    table = pd.DataFrame({"text": labels.index.astype(str), "label": labels})
    groups = pd.Series([number // 2 for number in range(60)])
    folds = list(Rows(table.iloc[:40], table.iloc[40:], labels, groups).folds())
    validated = pd.concat([fold.valid for fold in folds])
    assert sorted(validated.index) == [number for number in range(60) if number not in (0, 58)]
    for train, valid in folds:
        assert set(train["label"]) == {"common", "rare"} and len(train) + len(valid) == 60
        tied = set(groups[valid.index]) & set(groups[train.index])
        assert tied <= {0, 29}  # the first row of each label is always trained on


def test_few_validation_rows_are_not_what_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 50 rows 10 are validated: a candidate that is best on these by chance is measured on all."""
    tried: list[tuple[str, int]] = []

    def trial(name: str, system: object, splits: Iterable[Split]) -> Trial:
        tried.append((name, sum(len(split.valid) for split in splits)))
        value = {("a", 10): 0.9, ("b", 10): 0.8, ("a", 48): 0.5, ("b", 48): 0.7}[tried[-1]]
        return Trial(name, 40, {"accuracy": {"value": value, "low": 0.0, "high": 1.0}}, 1.0, 1.0)

    monkeypatch.setattr(halving, "tried", trial)
    blocks = {name: {"task": "text_classification"} for name in "ab"}
    trials = halving.halve("text_classification", lambda train: blocks, _rows(50), 60, lambda line: None)
    assert halving.winner("text_classification", trials).candidate == "b" and len(trials) == 2
    tried.clear()  # each of FOLDS trainings takes a second for each candidate
    trials = halving.halve("text_classification", lambda train: blocks, _rows(50), 2 * FOLDS, lambda line: None)
    assert halving.winner("text_classification", trials).candidate == "a"


def test_pictures_get_a_pretrained_base_where_one_is_pinned_and_here(folder: Path) -> None:
    table = pd.DataFrame({"image": [_picture(colour) for colour in (10, 200)] * 20, "label": ["dark", "light"] * 20})
    base = {"name": "efficientnet", "pretrained": {"path": "data/base", "sha256": "0" * 64}, "unfreeze": 0}
    pinned = [proposal.Pinned("image_classification", {}, base)]
    part = proposal.of("image_classification")
    scratch = ["perceptron on pixels", "convolutional network"]
    assert [one.name for one in part.candidates(table, pinned)] == scratch
    (folder / "data/base").mkdir(parents=True)
    assert [one.name for one in part.candidates(table, pinned)] == [*scratch, "pretrained base"]


def test_the_trivial_metric_of_several_labels_is_that_of_the_most_frequent_one() -> None:
    pick = random.Random(1)
    labels = pd.Series([pick.sample(["sport", "law", "art"], pick.randint(0, 3)) for _ in range(200)])
    truth = MultiLabelBinarizer().fit_transform(labels)
    commonest = np.zeros_like(truth)
    commonest[:, truth.sum(axis=0).argmax()] = 1
    trivial = proposal.of("multilabel_classification").trivial(pd.DataFrame({"labels": labels}))
    assert trivial == pytest.approx(f1_score(truth, commonest, average="micro"))


def test_rows_that_leave_none_to_validate_on_are_one_line(folder: Path) -> None:
    (folder / "news").mkdir()
    for name in ("train", "valid", "test"):  # the same rows: of copies, that of the test split is kept
        by_words(60).to_csv(f"news/{name}.csv", index=False)
    with pytest.raises(TidemillError, match=r"none of .* rows is left to train on: bring more rows"):
        propose("news", None, "news", budget=9, report=lambda line: None)


@pytest.mark.parametrize("budget", ["5", "-1s", "1d", "soon"])
def test_a_budget_needs_a_unit(folder: Path, budget: str) -> None:
    by_words(60).to_csv("news.csv", index=False)
    done = CliRunner().invoke(app, ["new", "news", "--source", "news.csv", f"--budget={budget}"])
    assert done.exit_code == 1 and "give a number with a unit" in done.output


def _rows(count: int) -> Rows:
    labels = pd.Series(["x", "y"] * (count // 2))
    table = pd.DataFrame({"text": labels.index.astype(str), "label": labels})
    return Rows(table.iloc[: count * 4 // 5], table.iloc[count * 4 // 5 :], labels, table["text"])


def _picture(colour: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (32, 32), (colour, colour, colour)).save(stream, "PNG")
    return stream.getvalue()
