"""A trained challenger beside a champion of drawn weights, on recorded rows."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.unit.registry.candidates import texts
from tests.unit.registry.proposals import crown
from tidemill.core.errors import TidemillError
from tidemill.serving.loading import load
from tidemill.serving.shadow import shadow

REPOSITORY = Path(__file__).parents[3]
ROWS = 60


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """Rows as they were recorded, with what was answered then, and what turned out right under another name."""
    table = texts(ROWS, 9000).rename(columns={"label": "stars"}).assign(prediction="old")
    table.to_csv(tmp_path / "recorded.csv", index=False)
    return tmp_path / "recorded.csv"


def said(version: int) -> "pd.Series[str]":
    return load(f"models:/reviews/{version}").predictor.predict(texts(ROWS, 9000))["prediction"]


def test_agreement_and_the_rows_that_differ(project: Path, recorded: Path) -> None:
    found = shadow("reviews", recorded)
    old, new = said(1), said(2)
    differ = np.flatnonzero(old != new)
    assert 0 < len(differ) < ROWS
    assert (found.champion.version, found.challenger.version) == ("reviews/1", "reviews/2")
    assert (found.rows, found.compared, found.agreed) == (ROWS, ROWS, ROWS - len(differ))
    assert [(one.row, one.champion, one.challenger, one.label) for one in found.differences] == [
        (row + 1, old[row], new[row], None) for row in differ[:10]
    ]
    assert (found.labelled, found.champion.metrics, found.gain) == (0, {}, None)
    for side in (found.champion, found.challenger):
        assert 0 < side.latency["p50_ms"] <= side.latency["p95_ms"]
        assert side.latency["examples"] == ROWS


def test_with_labels_both_are_measured_on_the_rows_that_have_one(project: Path, recorded: Path) -> None:
    table = pd.read_csv(recorded)
    table.loc[table.index % 5 == 0, "stars"] = None
    table.to_csv(recorded, index=False)
    found = shadow("reviews", recorded, labels="stars")
    truth = texts(ROWS, 9000)["label"]
    known = truth.index % 5 != 0
    assert found.labelled == known.sum() == 48
    for side, version in ((found.champion, 1), (found.challenger, 2)):
        share = (said(version) == truth)[known].mean()
        assert side.metrics["accuracy"]["value"] == pytest.approx(share, abs=1e-6)
    assert found.challenger.metrics["accuracy"]["value"] > found.champion.metrics["accuracy"]["value"] + 0.2
    assert found.gain is not None and found.gain["low"] > 0
    assert {one.label for one in found.differences} <= {"good", "bad", None}


def test_rows_that_cannot_be_answered_do_not_count(project: Path, tmp_path: Path) -> None:
    lines = [json.dumps({"text": text}) for text in texts(9, 0)["text"]]
    (tmp_path / "some.jsonl").write_text("\n".join([*lines, "not json"]) + "\n")
    found = shadow("reviews", tmp_path / "some.jsonl")
    assert (found.rows, found.compared, found.champion.unanswered, found.challenger.unanswered) == (10, 9, 1, 1)
    (tmp_path / "none.tsv").write_text("id\ttext\nx\nx\n")
    with pytest.raises(TidemillError, match="both versions can predict none of 2 rows; the first: 1 fields where"):
        shadow("reviews", tmp_path / "none.tsv")


def test_the_command(project: Path, recorded: Path) -> None:
    command = [str(Path(sys.executable).with_name("tidemill")), "shadow", "reviews", "--inputs", str(recorded)]
    done = subprocess.run([*command, "--labels", "stars"], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    differing = int((said(1) != said(2)).sum())
    lines = done.stdout.splitlines()
    assert lines[0] == "champion reviews/1, challenger reviews/2: 60 rows"
    assert lines[1].strip().startswith(f"agree on {ROWS - differing} of {ROWS} (")
    assert f"  {differing - 10} more differ" in lines
    assert any(line.strip().startswith("accuracy gains +") for line in lines)
    assert lines[-1].strip().startswith("p95: ")


@pytest.mark.parametrize(
    ("labels", "columns", "message"),
    [
        ("marks", None, "no column 'marks'; it has: id, text, stars, prediction"),
        (None, {"text": "said"}, "no column"),
        ("text", None, "row 1: label 'cold soup'"),
    ],
)
def test_mistakes_are_named(
    project: Path, recorded: Path, labels: str | None, columns: dict[str, str] | None, message: str
) -> None:
    if columns:
        pd.read_csv(recorded).rename(columns={"text": "other"}).to_csv(recorded, index=False)
    with pytest.raises(TidemillError, match=message):
        shadow("reviews", recorded, labels, columns)


def test_one_version_is_not_compared_with_itself(project: Path, recorded: Path) -> None:
    crown("reviews", "2")
    try:
        with pytest.raises(TidemillError, match="reviews/2 is champion and challenger"):
            shadow("reviews", recorded)
    finally:
        crown("reviews", "1")
