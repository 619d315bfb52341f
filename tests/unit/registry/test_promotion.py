"""Promotion with a real store: who may, what stops it, the way back, and what the log and the alias say after it."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.unit.registry.proposals import GRACE, as_before, propose, start
from tidemill.core.errors import TidemillError
from tidemill.registry import champion, content, decision_file, promotion, proposals, signers, signing
from tidemill.registry.audit import audit, repair
from tidemill.registry.decision_log import DecisionLog
from tidemill.registry.identity import Identity
from tidemill.tracking import store

ADA = Identity("Ada L. <ADA@localhost>", "git")


def alias() -> str | None:
    found = champion.find(store.connect(), "bars")
    return str(found.version) if found else None


def test_there_and_back(proposed: Path) -> None:
    client = store.connect()
    promotion.approve(client, "bars", "1", GRACE, "the first")
    assert propose(proposed, seed=1, wrong=3) == "2"  # is compared with the champion
    entry = promotion.approve(client, "bars", "2", GRACE, "fewer mistakes")
    assert (alias(), entry.champion_before, entry.champion_after) == ("2", "1", "2")
    assert set(entry.reviewed) == {"weights", "evaluation", "lineage", "content"}
    assert promotion.approve(client, "bars", "2", GRACE, "again") == entry
    promotion.rollback(client, "bars", GRACE, "it answers slowly")
    assert alias() == "1"
    with pytest.raises(TidemillError, match="no earlier champion"):
        promotion.rollback(client, "bars", GRACE, "further")
    entries, wrong = audit(client, "bars")
    assert wrong == []
    assert [(entry.action, entry.state) for entry in entries] == [
        (action, state) for action in ("promote", "promote", "rollback") for state in ("begun", "done")
    ]
    assert decision_file.path("bars").read_text().splitlines() == [entry.line for entry in entries]


def test_the_proposer_does_not_approve(proposed: Path) -> None:
    with pytest.raises(TidemillError, match="proposed it: another person has to approve"):
        promotion.approve(store.connect(), "bars", "1", ADA, "mine is good")
    assert alias() is None


def test_a_dirty_tree_is_a_challenger_and_no_champion(project: Path) -> None:
    start(project)
    (project / "stray.py").write_text("print()\n")
    assert propose(project, seed=0, wrong=9) == "1"
    client = store.connect()
    assert list(client.get_registered_model("bars").aliases) == ["challenger"]
    with pytest.raises(TidemillError, match=r"1 files differ from commit .*: a dirty tree"):
        promotion.approve(client, "bars", "1", GRACE, "looks good")


def test_what_failed_its_gates_or_lacks_lineage_is_refused_with_both_reasons(project: Path) -> None:
    start(project)
    (project / "dvc.lock").unlink()
    propose(project, seed=0, wrong=30)
    with pytest.raises(TidemillError, match=r"below the lowest allowed.*lacks 3 of 9 parts: dvc.lock, stages, data"):
        promotion.approve(store.connect(), "bars", "1", GRACE, "looks good")


def test_changed_files_are_refused(proposed: Path) -> None:
    version = promotion.version_of(store.connect(), "bars", "1")
    [evaluation] = (proposed / f".tidemill/mlflow/artifacts/bars/{version.run_id}").rglob("evaluation.json")
    written = evaluation.read_text()
    evaluation.write_text(written + "\n")
    with pytest.raises(TidemillError, match="its evaluation is not what was registered"):
        promotion.approve(store.connect(), "bars", "1", GRACE, "looks good")
    evaluation.write_text(written)


def test_another_champion_than_the_reviewed_one_stops_it(proposed: Path) -> None:
    client = store.connect()
    promotion.approve(client, "bars", "2", GRACE, "the first")
    with pytest.raises(TidemillError, match="compared with champion none, and now the champion is 2"):
        promotion.approve(client, "bars", "1", GRACE, "looks good")
    assert alias() == "2"


def test_a_rejected_version_no_longer_challenges(proposed: Path) -> None:
    client = store.connect()
    promotion.reject(client, "bars", "2", GRACE, "too many mistakes")
    assert client.get_registered_model("bars").aliases == {}
    assert audit(client, "bars")[1] == []


def test_an_alias_moved_by_hand_is_found_and_put_back(proposed: Path) -> None:
    client = store.connect()
    client.set_registered_model_alias("bars", "champion", "1")
    assert "at 1 without a decision; by the log it belongs to none" in audit(client, "bars")[1][0]
    with pytest.raises(TidemillError, match="without a decision"):
        promotion.approve(client, "bars", "1", GRACE, "looks good")
    repair(client, "bars")
    assert alias() is None
    promotion.approve(client, "bars", "1", GRACE, "looks good")
    client.delete_registered_model_alias("bars", "champion")
    assert "at no version without a decision" in audit(client, "bars")[1][0]


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE params SET value = replace(value, 'the first', 'the FIRST') WHERE key = '00000001'", "entry 1 was"),
        ("UPDATE params SET value = replace(value, 'the first', 'the FIRST') WHERE key = '00000002'", "entry 2 of"),
        ("DELETE FROM params WHERE key = '00000001'", "entry 1 was removed"),
        ("DELETE FROM params WHERE key = '00000002'", "ends before entry 2"),
    ],
)
def test_a_changed_or_removed_entry_of_the_registry_is_found(proposed: Path, statement: str, found: str) -> None:
    client = store.connect()
    promotion.approve(client, "bars", "1", GRACE, "the first")
    with sqlite3.connect(proposed / ".tidemill/mlflow/mlflow.db") as database:
        database.execute(statement)
    assert found in " ".join(audit(client, "bars")[1])


@pytest.mark.parametrize(("keep", "found"), [(slice(1, None), "entry 1 is missing"), (slice(0, 1), "lacks entry 2")])
def test_a_removed_entry_of_the_file_is_found(proposed: Path, keep: slice, found: str) -> None:
    client = store.connect()
    promotion.approve(client, "bars", "1", GRACE, "the first")
    file = decision_file.path("bars")
    file.write_text("".join(file.read_text().splitlines(keepends=True)[keep]))
    assert found in " ".join(audit(client, "bars")[1])


def test_the_store_itself_refuses_to_change_an_entry(proposed: Path) -> None:
    client = store.connect()
    entry = promotion.approve(client, "bars", "1", GRACE, "the first")
    log = DecisionLog(client, "bars")
    forged = entry.__class__(**{**entry.__dict__, "who": "Mallory"})
    assert not log.append(forged)
    assert log.entries()[0] == entry


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda model: flip(model / "artifacts/model/model.safetensors"), "artifacts/model/model.safetensors"),
        (lambda model: (model / "added.json").write_text("{}"), "added.json"),
        (lambda model: (model / "artifacts/model/config.json").write_text("{}"), "artifacts/model/config.json"),
    ],
    ids=["flipped byte", "added file", "swapped config"],
)
def test_a_model_that_is_not_what_was_signed_is_refused_by_file(
    proposed: Path, change: Callable[[Path], object], named: str, tmp_path: Path
) -> None:
    version = promotion.version_of(store.connect(), "bars", "1")
    found = content.download(version, tmp_path).folder
    change(found / "model")
    with pytest.raises(TidemillError, match=re.escape(named)):
        signing.verify(found / "model")


def test_a_model_that_mlflow_loaded_from_its_store_is_still_what_was_signed(proposed: Path, tmp_path: Path) -> None:
    client = store.connect()
    settings = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    load = "import mlflow; mlflow.pyfunc.load_model('models:/bars/1')"
    environment = settings | {"MLFLOW_TRACKING_URI": store.store_uri()}
    subprocess.run([sys.executable, "-c", load], env=environment, check=True, capture_output=True)
    version = promotion.version_of(client, "bars", "1")
    [stored] = (proposed / f".tidemill/mlflow/artifacts/bars/{version.run_id}").rglob("registered_model_meta")
    assert list(stored.parent.rglob("*.pyc"))
    found = content.download(version, tmp_path).folder
    assert not list(found.rglob("*.pyc"))


def test_a_flipped_byte_in_the_registry_stops_the_promotion(proposed: Path) -> None:
    client = store.connect()
    version = promotion.version_of(client, "bars", "1")
    [weights] = (proposed / f".tidemill/mlflow/artifacts/bars/{version.run_id}").rglob("model.safetensors")
    flip(weights)
    with pytest.raises(TidemillError, match=r"not what was signed.*model\.safetensors"):
        promotion.approve(client, "bars", "1", GRACE, "looks good")
    flip(weights)
    key = proposed / ".tidemill/keys/model-signing.pem"
    assert key.stat().st_mode & 0o077 == 0


def test_a_clone_without_the_private_key_signs_nothing_that_nobody_could_verify(
    proposed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = tmp_path / "clone"
    (clone / "keys").mkdir(parents=True)
    shutil.copy(proposed / signers.PUBLIC_KEY, clone / "keys")
    (clone / "model").mkdir()
    (clone / "model" / "config.json").write_text("{}")
    monkeypatch.chdir(clone)
    with pytest.raises(TidemillError, match="belongs to no key that is here: copy its private key"):
        signing.sign(clone / "model")
    assert not (clone / ".tidemill/keys/model-signing.pem").exists()


def test_a_champion_that_is_not_what_was_signed_is_no_measure(proposed: Path) -> None:
    client = store.connect()
    promotion.approve(client, "bars", "1", GRACE, "the first")
    version = promotion.version_of(client, "bars", "1")
    [weights] = (proposed / f".tidemill/mlflow/artifacts/bars/{version.run_id}").rglob("model.safetensors")
    flip(weights)
    assert propose(proposed, seed=1, wrong=3) == "2"
    flip(weights)
    found = promotion.version_of(client, "bars", "2").tags
    assert found["tidemill.passed"] == "false"
    assert re.search(
        r"cannot be compared with: models:/bars/1: .*not what was signed.*model\.safetensors", found["tidemill.reason"]
    )


def test_what_is_shown_for_review(proposed: Path) -> None:
    client = store.connect()
    assert [line.split(" by ")[0] for line in proposals.waiting(client)] == ["bars 2"]
    promotion.approve(client, "bars", "1", GRACE, "the first")
    shown = proposals.describe(client, "bars", "2")
    assert "Of 30 test rows 6 are predicted otherwise than by champion 1: 6 become right and 0 become wrong." in shown
    assert "accuracy is 0.9000, at least 0.1" in shown
    assert "proposed by Ada <ada@localhost>" in shown
    title, summary = shown.split("\n\n")[:2]
    assert title.startswith("# bars 2, ")
    lines = summary.splitlines()
    assert re.fullmatch(r"\*\*accuracy 0\.9000 \[0\.\d{4}, 0\.\d{4}\]\*\* on 30 test rows", lines[0])
    assert lines[1].startswith("- baseline majority: 0.3333 [")
    assert lines[2].startswith("- champion: version 1, accuracy 0.7000 [") and "on the same test rows" in lines[2]
    run = client.get_run(str(promotion.version_of(client, "bars", "2").run_id)).info
    page = f"#/experiments/{run.experiment_id}/runs/{run.run_id}/artifacts/candidate-"
    assert lines[3].startswith(f"- report: [report.html]({page}") and lines[3].endswith("/report.html)")
    assert lines[4] == "- to approve: `tidemill review approve bars 2 --why '…'`"
    assert shown.splitlines()[-1] == "tidemill review reject bars 2 --why '…'"


def test_a_version_on_mlflows_page_begins_with_what_a_reviewer_needs(proposed: Path) -> None:
    description = str(promotion.version_of(store.connect(), "bars", "2").description)
    lines = description.split("\n\n")[0].splitlines()
    assert lines[0].startswith("**accuracy 0.9000 [")
    assert lines[1].startswith("- baseline majority: ") and lines[2] == "- champion: none yet"
    assert lines[3].startswith("- report: [report.html](#/experiments/")
    assert lines[4] == "- to approve: `tidemill review approve bars 2 --why '…'`"
    assert "- passed: accuracy is 0.9000, at least 0.1" in description


def test_a_version_of_older_code_is_shown_with_its_figures_as_well(proposed: Path) -> None:
    """Its description has the gates only, and its stored predictions do not say which are right."""
    client = store.connect()
    promotion.approve(client, "bars", "1", GRACE, "the first")
    client.update_model_version("bars", "2", description="- passed: accuracy is 0.9000, at least 0.1")
    with as_before(proposed, "bars", "2") as folder:
        file = folder / "predictions.parquet"
        pd.read_parquet(file).drop(columns="correct").to_parquet(file, index=False)
        shown = proposals.describe(client, "bars", "2")
    assert shown.split("\n\n")[1].startswith("**accuracy 0.9000 [")
    assert "- passed: accuracy is 0.9000, at least 0.1" in shown
    assert "6 become right and 0 become wrong" in shown


def flip(file: Path) -> None:
    """Flip the last bit of a file."""
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
