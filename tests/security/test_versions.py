"""Attacks on what stands beside a model: its files, its tags and its proposer; each ends in one line that says what is wrong."""

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.unit.registry.candidates import PARAMS, perfect, write_candidate
from tests.unit.registry.proposals import GRACE, as_before, changed, crown, propose, start, stored
from tidemill.core.errors import TidemillError
from tidemill.registry import champion, history, promotion, proposals
from tidemill.registry.audit import audit, notes
from tidemill.registry.identity import Identity
from tidemill.registry.registration import register
from tidemill.serving.loading import load
from tidemill.tracking.store import connect

ADA = Identity("Ada <ada@localhost>", "git")
DOCUMENTS = (
    "evaluation.json",
    "lineage.json",
    "predictions.parquet",
    "reference.parquet",
    "report.html",
    "model-card.md",
)


def retag(version: str, tag: str, value: str) -> None:
    connect().set_model_version_tag("bars", version, tag, value)


def tags(version: str) -> dict[str, str]:
    return dict(promotion.version_of(connect(), "bars", version).tags)


def worse_predictions(folder: Path) -> None:
    """Falsify the predictions of a version: nearly all are wrong."""
    file = folder / "predictions.parquet"
    table = pd.read_parquet(file)
    perfect(table, ["0", "1", "2"], wrong=29).assign(correct=[False] * 29 + [True]).to_parquet(file, index=False)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_changed_document_stops_whoever_reads_the_version(proposed: Path, name: str) -> None:
    with changed(stored(proposed, "bars", "1")) as folder:
        (folder / name).write_bytes((folder / name).read_bytes() + b" ")
        with pytest.raises(TidemillError, match=re.escape(name)):
            promotion.approve(connect(), "bars", "1", GRACE, "looks good")
        with pytest.raises(TidemillError, match=rf"not what was signed.*{re.escape(name)}"):
            load("models:/bars/1")


def test_an_added_document_is_found(proposed: Path) -> None:
    with changed(stored(proposed, "bars", "1")) as folder:
        (folder / "notes.html").write_text("<p>all is well</p>")
        with pytest.raises(TidemillError, match=r"not what was signed.*notes\.html"):
            load("models:/bars/1")


def test_falsified_predictions_of_the_champion_let_no_worse_model_pass(proposed: Path) -> None:
    promotion.approve(connect(), "bars", "2", GRACE, "the first")
    with changed(stored(proposed, "bars", "2")) as folder:
        worse_predictions(folder)
        assert propose(proposed, seed=2, wrong=20) == "3"
    assert tags("3")["tidemill.passed"] == "false"
    assert re.search(
        r"cannot be compared with: .*not what was signed.*predictions\.parquet", tags("3")["tidemill.reason"]
    )


def test_a_champion_made_to_look_old_is_compared_by_its_model(proposed: Path) -> None:
    """Without `version.sig` its predictions are not signed: it predicts anew."""
    promotion.approve(connect(), "bars", "2", GRACE, "the first")
    with as_before(proposed, "bars", "2") as folder:
        worse_predictions(folder)
        assert propose(proposed, seed=2, wrong=20) == "3"
    assert (
        "the champion cannot be compared with: models:/bars/2: its content is not what was reviewed"
        in tags("3")["tidemill.reason"]
    )


def test_by_swapped_tags_a_version_does_not_answer_with_the_content_of_another(proposed: Path) -> None:
    for tag in ("tidemill.folder", "tidemill.weights_sha256", "tidemill.evaluation_sha256"):
        retag("1", tag, tags("2")[tag])
    lay_beside(proposed, "1", "2")
    with pytest.raises(TidemillError, match=r"bars/1 is not what was signed: its tags point to the files of another"):
        load("models:/bars/1")
    with pytest.raises(TidemillError, match="tags point to the files of another"):
        promotion.approve(connect(), "bars", "1", GRACE, "looks good")
    retag("1", "tidemill.statement", tags("2")["tidemill.statement"])
    with pytest.raises(TidemillError, match=r"its tag tidemill\.statement is that of bars 2"):
        load("models:/bars/1")


def lay_beside(project: Path, version: str, other: str) -> None:
    """Copy the files of another version into the run of one, where its tag now points."""
    here = stored(project, "bars", other)
    run = promotion.version_of(connect(), "bars", version).run_id
    shutil.copytree(here, project / f".tidemill/mlflow/artifacts/bars/{run}/artifacts/{here.name}", dirs_exist_ok=True)


def test_a_proposer_does_not_approve_by_rewriting_who_proposed(proposed: Path) -> None:
    retag("1", "tidemill.proposed_by", "Mallory <mallory@localhost>")
    with pytest.raises(
        TidemillError, match=r"tidemill\.proposed_by was rewritten.*ada@localhost> proposed it: another"
    ):
        promotion.approve(connect(), "bars", "1", ADA, "mine is good")
    with pytest.raises(TidemillError, match="was rewritten: 'Mallory"):
        promotion.approve(connect(), "bars", "1", GRACE, "looks good")


def test_removing_the_statement_and_registering_again_keeps_the_proposer(proposed: Path) -> None:
    """As a scheduled job with the project's key would: the files themselves say who proposed them."""
    connect().delete_model_version_tag("bars", "2", "tidemill.statement")
    retag("2", "tidemill.proposed_by", "Mallory <mallory@localhost>")
    assert propose(proposed, seed=1, wrong=3) == "2"
    assert tags("2")["tidemill.proposed_by"] == "Ada <ada@localhost>"
    with pytest.raises(TidemillError, match="proposed it: another person"):
        promotion.approve(connect(), "bars", "2", ADA, "mine is good")


@pytest.mark.parametrize(
    ("tag", "value"), [("tidemill.passed", "true"), ("tidemill.compared_with", "none"), ("tidemill.reason", "perfect")]
)
def test_what_the_gates_found_is_not_what_a_tag_says(project: Path, tag: str, value: str) -> None:
    start(project)
    assert propose(project, seed=0, wrong=30) == "1"
    retag("1", tag, value)
    with pytest.raises(TidemillError, match=r"it did not pass its gates \(accuracy is 0\.0000, below"):
        promotion.approve(connect(), "bars", "1", GRACE, "looks good")
    assert champion.find(connect(), "bars") is None


def test_a_statement_that_was_edited_is_refused(proposed: Path) -> None:
    signed = json.loads(tags("1")["tidemill.statement"])
    signed["statement"] = signed["statement"].replace("Ada <ada@localhost>", "Mallory")
    retag("1", "tidemill.statement", json.dumps(signed))
    with pytest.raises(TidemillError, match=r"its tag tidemill\.statement was changed or is not trusted"):
        promotion.approve(connect(), "bars", "1", ADA, "mine is good")
    assert any("bars 2" in line for line in proposals.waiting(connect()))


@pytest.mark.parametrize(
    "value",
    [
        "",
        "[]",
        "no JSON",
        "{}",
        '{"statement": 1, "signature": {}}',
        "[" * 10_000,
        '{"statement": "{}", "signature": {}}',
    ],
    ids=["empty", "list", "no JSON", "no field", "other type", "deep", "no signature"],
)
def test_a_statement_that_cannot_be_read_is_one_line(proposed: Path, value: str) -> None:
    retag("2", "tidemill.statement", value)
    [line] = proposals.waiting(connect())
    assert line.startswith("bars 2: WRONG: models:/bars/2: its tag tidemill.statement")
    with pytest.raises(TidemillError) as told:
        load("models:/bars/2")
    assert len(str(told.value).splitlines()) == 1


def test_what_is_in_service_is_what_was_reviewed(proposed: Path) -> None:
    """Whoever holds the project's key can state anything of a version; the champion is still the reviewed one."""
    client = connect()
    promotion.approve(client, "bars", "1", GRACE, "the first")
    with as_before(proposed, "bars", "1") as folder:
        (folder / "evaluation.json").write_text((folder / "evaluation.json").read_text() + "\n")
        with pytest.raises(TidemillError, match="its evaluation is not what was reviewed in decision 2"):
            load("models:/bars@champion")
        assert "version 1: its evaluation is not what was reviewed in decision 2" in audit(client, "bars")[1]


def test_a_rollback_returns_to_what_was_reviewed_alone(proposed: Path) -> None:
    client = connect()
    promotion.approve(client, "bars", "1", GRACE, "the first")
    assert propose(proposed, seed=1, wrong=3) == "2"
    promotion.approve(client, "bars", "2", GRACE, "fewer mistakes")
    with as_before(proposed, "bars", "1") as folder:
        (folder / "lineage.json").write_text("{}")
        with pytest.raises(TidemillError, match="cannot be champion again: its lineage is not what was reviewed"):
            promotion.rollback(client, "bars", GRACE, "back")
    assert str(load("models:/bars@champion").name) == "bars/2"


# Versions that were registered before the whole of one was signed.


def test_an_older_version_loads_is_shown_and_compared_and_says_that_only_its_model_is_signed(proposed: Path) -> None:
    client = connect()
    with as_before(proposed, "bars", "2"):
        assert load("models:/bars/2").name == "bars/2"
        assert history.find("models:/bars/2").lineage["system"] == "bars"
        [line] = proposals.waiting(client)
        assert line.startswith("bars 2 by Ada <ada@localhost>") and line.endswith("(signed: the model only)")
        shown = proposals.describe(client, "bars", "2")
        assert "proposed by Ada <ada@localhost> (signed: the model only: register it again to promote it)" in shown
        with pytest.raises(TidemillError, match=r"before whole versions were signed.*register@bars` makes a new one"):
            promotion.approve(client, "bars", "2", GRACE, "looks good")
        assert propose(proposed, seed=1, wrong=3) == "3"
        assert promotion.approve(client, "bars", "3", GRACE, "signed now").champion_after == "3"


def test_a_champion_of_before_serves_and_is_compared_by_predicting_anew(project: Path) -> None:
    start(project)
    assert propose(project, seed=0, wrong=0) == "1"
    client = connect()
    with as_before(project, "bars", "1"):
        crown("bars", "1")
        assert load("models:/bars@champion").name == "bars/1"
        assert notes(client, "bars", audit(client, "bars")[0])[-1] == "champion 1 is signed: the model only"
        system = write_candidate(project, "bars", PARAMS, seed=0)  # of drawn weights it gets a third right
        assert register("bars", system, project / "artifacts/bars")["passed"]
