"""Decisions set as tags in a real store: carried out by the rules, refused by the rules, and resumed after a kill."""

import subprocess
import sys
from pathlib import Path

import pytest

from tidemill.core.errors import TidemillError
from tidemill.registry import champion, decision_tags, promotion
from tidemill.registry.audit import audit
from tidemill.registry.decision_log import Entry
from tidemill.tracking.store import connect


def tag(version: str, decision: str, by: str = "Grace <grace@localhost>", comment: str = "as the report says") -> None:
    """Set the tags as the page does."""
    for name, value in (("comment", comment), ("decided_by", by), ("decision", decision)):
        connect().set_model_version_tag("bars", version, f"tidemill.{name}", value)


def tags(version: str) -> dict[str, str]:
    return dict(promotion.version_of(connect(), "bars", version).tags)


def test_by_the_command_a_version_becomes_champion_and_another_is_turned_down(proposed: Path) -> None:
    tag("1", "reject")
    tag("2", " Approve ")
    command = [str(Path(sys.executable).with_name("tidemill")), "review", "sync"]
    done = subprocess.run([*command, "bars"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "bars: 1 " in done.stdout and "by Grace <grace@localhost> (tag): as the report says" in done.stdout
    found = champion.find(connect(), "bars")
    assert found is not None and str(found.version) == "2"
    entries, wrong = audit(connect(), "bars")
    assert wrong == []
    assert [(entry.action, entry.version, entry.state, entry.identity) for entry in entries] == [
        ("reject", "1", "done", "tag"),
        ("promote", "2", "begun", "tag"),
        ("promote", "2", "done", "tag"),
    ]
    for version in ("1", "2"):
        assert {"tidemill.decision", "tidemill.decided_by", "tidemill.comment"} & set(tags(version)) == set()
    assert tags("1")["tidemill.carried_out"] == str(entries[0])
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (again.returncode, again.stdout) == (0, "no version has a tag tidemill.decision\n")


@pytest.mark.parametrize(
    ("decision", "by", "comment", "reason"),
    [
        ("approve", "ADA@localhost", "mine is good", "another person has to approve"),
        ("approve", " ", "looks good", "set tidemill.decided_by"),
        ("approve", "Grace", " ", "needs a reason"),
        ("perhaps", "Grace", "looks good", "'perhaps': set it to approve or reject"),
    ],
)
def test_the_rules_refuse_and_the_page_says_why(
    proposed: Path, decision: str, by: str, comment: str, reason: str
) -> None:
    tag("2", decision, by, comment)
    [refusal] = decision_tags.carry_out(connect())
    assert isinstance(refusal, TidemillError)
    assert reason in str(refusal) and str(refusal).startswith("models:/bars/2: ")
    assert reason in tags("2")["tidemill.refused"]
    assert tags("2")["tidemill.decision"] == decision
    assert champion.find(connect(), "bars") is None
    tag("2", "approve")
    [entry] = decision_tags.carry_out(connect(), "bars")
    assert isinstance(entry, Entry)
    assert "tidemill.refused" not in tags("2")


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_killed_before_the_tags_go_it_ends_with_one_decision(
    proposed: Path, decision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tag("2", decision)
    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(decision_tags, "_mark", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        list(decision_tags.carry_out(connect()))
    before = audit(connect(), "bars")
    [entry] = decision_tags.carry_out(connect())
    assert isinstance(entry, Entry)
    assert audit(connect(), "bars") == before
    assert "tidemill.decision" not in tags("2")


def test_of_another_system_nothing_is_touched(proposed: Path) -> None:
    tag("2", "approve")
    assert list(decision_tags.carry_out(connect(), "other")) == []
    assert tags("2")["tidemill.decision"] == "approve"
