"""Attacks on the decision log: entries that nobody made, that somebody cut off, or that nobody can read."""

import json
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.private_sigstore import running_sigstore
from tests.unit.registry.proposals import GRACE, propose
from tidemill.core.errors import TidemillError
from tidemill.core.files import write_json
from tidemill.registry import anchor, champion, decision_file, promotion, signers
from tidemill.registry.audit import audit, notes, repair
from tidemill.registry.decision_entry import Entry, signed
from tidemill.registry.decision_log import DecisionLog, following
from tidemill.registry.identity import Identity
from tidemill.serving.loading import load
from tidemill.tracking.store import connect

MALLORY = Identity("Mallory <mallory@localhost>", "git")
CHAMPION = "models:/bars@champion"
ENTRY = Entry(
    1, "2026-01-01T00:00:00+00:00", "bars", "promote", "begun", "1", None, "1", GRACE.who, "git", "why", {}, "", "0"
)


def database(project: Path) -> sqlite3.Connection:
    return sqlite3.connect(project / ".tidemill/mlflow/mlflow.db")


def git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], check=True, capture_output=True)


def commit_decisions() -> None:
    git("add", "decisions")
    git("commit", "--quiet", "-m", "Decisions")


def next_entry(**fields: Any) -> Entry:
    """An entry that follows the log as it is, with these fields."""
    entries = DecisionLog(connect(), "bars").entries()
    return replace(ENTRY, **following(entries), **fields)  # type: ignore[arg-type]


def cut(project: Path, keep: int) -> None:
    """Remove all but the first entries, from store and file, and put the alias where the rest has it."""
    with database(project) as open_database:
        open_database.execute("DELETE FROM params WHERE key > ?", (f"{keep:08d}",))
    file = decision_file.path("bars")
    lines = file.read_text().splitlines(keepends=True)[:keep]
    file.write_text("".join(lines)) if lines else file.unlink()
    promotion.put_alias(connect(), "bars", json.loads(lines[-1])["champion_after"] if lines else None)


# Entries that nobody made.


def test_an_entry_that_nobody_signed_moves_nothing(proposed: Path) -> None:
    """Whoever may write to the store writes an entry in the name of another, and waits for somebody to settle it."""
    client = connect()
    forged = next_entry()
    assert DecisionLog(client, "bars").append(forged)
    for act in (promotion.approve, promotion.reject):
        with pytest.raises(TidemillError, match=r"decision 1 is not signed.*nothing vouches for it"):
            act(client, "bars", "2", GRACE, "looks good")
    with pytest.raises(TidemillError, match="is not signed"):
        repair(client, "bars")
    assert champion.find(client, "bars") is None
    assert any("decision 1 is not signed" in line for line in audit(client, "bars")[1])


@pytest.mark.parametrize(
    "name", ["signed by somebody else", "signature of another entry", "edited after it was signed"]
)
def test_an_entry_in_the_name_of_another_moves_nothing(proposed: Path, name: str) -> None:
    client = connect()
    forged = {
        "signed by somebody else": lambda: signed(next_entry(), MALLORY),
        "signature of another entry": lambda: replace(signed(next_entry(why="other"), GRACE), why="why"),
        "edited after it was signed": lambda: replace(signed(next_entry(), GRACE), version="2", champion_after="2"),
    }[name]()
    assert DecisionLog(client, "bars").append(forged)
    with pytest.raises(TidemillError, match=r"decision 1 is (by Grace.* and mallory@localhost signed|not what grace)"):
        promotion.rollback(client, "bars", GRACE, "back")
    assert champion.find(client, "bars") is None
    assert [line for line in audit(client, "bars")[1] if "decision 1 is" in line]


def test_a_key_that_is_not_under_keys_decides_nothing(proposed: Path) -> None:
    """Mallory decides in her own clone, with her own key, which nobody has merged."""
    client = connect()
    assert DecisionLog(client, "bars").append(signed(next_entry(who=MALLORY.who), MALLORY))
    (proposed / "keys/deciders/mallory@localhost.pub").unlink()
    with pytest.raises(TidemillError, match=r"keys/deciders/mallory@localhost\.pub is missing"):
        promotion.approve(client, "bars", "2", GRACE, "looks good")


def test_who_has_not_the_key_does_not_decide_in_the_name_of_another(proposed: Path) -> None:
    """Git's settings say Grace, whose public key is under git; her private one is not on this machine."""
    client = connect()
    promotion.reject(client, "bars", "1", GRACE, "slow")
    (proposed / ".tidemill/keys/deciders/grace@localhost.pem").unlink()
    with pytest.raises(TidemillError, match=r"keys/deciders/grace@localhost\.pub belongs to no key that is here"):
        promotion.approve(client, "bars", "2", GRACE, "looks good")
    assert champion.find(client, "bars") is None


def test_a_signed_decision_past_the_rules_is_not_carried_out_and_can_be_withdrawn(proposed: Path) -> None:
    """A proposer signs the approval of the own version, and leaves it to others to settle."""
    client = connect()
    ada = Identity("Ada <ada@localhost>", "git")
    assert DecisionLog(client, "bars").append(signed(next_entry(who=ada.who), ada))
    with pytest.raises(TidemillError, match=r"decision 1 was begun and cannot be carried out: .*proposed it: another"):
        promotion.approve(client, "bars", "2", GRACE, "looks good")
    with pytest.raises(TidemillError, match="review reject bars 1"):
        repair(client, "bars")
    with pytest.raises(TidemillError, match="is not in the registry"):
        load(CHAMPION)
    entry = promotion.reject(client, "bars", "1", GRACE, "nobody else saw it")
    assert (entry.action, entry.champion_after) == ("withdraw", None)
    assert audit(client, "bars")[1] == []
    promotion.approve(client, "bars", "2", GRACE, "looks good")
    assert load(CHAMPION).name == "bars/2"
    with pytest.raises(TidemillError, match="no earlier champion"):
        promotion.rollback(client, "bars", GRACE, "back")


def test_a_second_run_of_the_log_is_an_alarm(proposed: Path) -> None:
    """MLflow lists the newest run first, which was believed whoever had made it."""
    client = connect()
    promotion.approve(client, "bars", "1", GRACE, "the first")
    experiment = client.get_experiment_by_name("decisions/bars")
    assert experiment is not None
    run = client.create_run(experiment.experiment_id, tags={"mlflow.user": "mallory"})
    with pytest.raises(TidemillError, match=r"the decision log is one run.*by mallory"):
        load(CHAMPION)
    with pytest.raises(TidemillError, match="the decision log is one run"):
        promotion.approve(client, "bars", "2", GRACE, "looks good")
    client.delete_run(run.info.run_id)  # it could be restored any time
    assert "the decision log is one run" in audit(client, "bars")[1][0]


# An alias that was moved by hand.


def test_an_alias_without_any_decision_serves_nothing(proposed: Path) -> None:
    connect().set_registered_model_alias("bars", "champion", "1")
    with pytest.raises(TidemillError, match=r"nobody decided that version 1.*or name models:/bars/1"):
        load(CHAMPION)
    assert propose(proposed, seed=1, wrong=3) == "2"
    assert connect().get_model_version("bars", "2").tags["tidemill.compared_with"] == "none"


def test_an_alias_that_was_moved_is_not_followed(proposed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    promotion.approve(connect(), "bars", "1", GRACE, "the first")
    connect().set_registered_model_alias("bars", "champion", "2")
    assert load(CHAMPION).name == "bars/1"
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("bars: the alias champion is at 2 without a decision; by the log it belongs to 1, which is")
    connect().delete_registered_model_alias("bars", "champion")
    assert load(CHAMPION).name == "bars/1"


# Entries that were cut off.


@pytest.fixture
def decided(proposed: Path) -> Path:
    """A project whose two decisions are under git."""
    client = connect()
    promotion.approve(client, "bars", "1", GRACE, "the first")
    assert propose(proposed, seed=1, wrong=3) == "2"
    promotion.approve(client, "bars", "2", GRACE, "fewer mistakes")
    commit_decisions()
    return proposed


@pytest.mark.parametrize("keep", [2, 0])
def test_cutting_the_log_in_store_and_file_shows_in_git(decided: Path, keep: int) -> None:
    head = subprocess.run(["git", "rev-parse", "HEAD~1"], capture_output=True, text=True, check=True).stdout.strip()
    cut(decided, keep)
    try:
        [line] = audit(connect(), "bars")[1]
        assert f"has decision {keep + 1} in decisions/bars.jsonl, which the log lacks or has changed" in line
        git("add", "--all", "decisions")
        git("commit", "--quiet", "-m", "Nothing to see")
        assert len(audit(connect(), "bars")[1]) == 1
        command = [str(Path(sys.executable).with_name("tidemill")), "audit"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 1 and "bars: WRONG: commit" in done.stdout, done.stderr
    finally:
        git("reset", "--quiet", "--hard", head)


def test_cutting_the_log_in_the_store_stops_whoever_asks_for_the_champion(proposed: Path) -> None:
    client = connect()
    promotion.approve(client, "bars", "1", GRACE, "the first")
    with database(proposed) as open_database:
        open_database.execute("DELETE FROM params WHERE key LIKE '0000000_'")
    with pytest.raises(TidemillError, match="entries were removed from it; see `tidemill audit bars`"):
        load(CHAMPION)


def test_cutting_the_log_everywhere_shows_at_the_anchor(proposed: Path, tmp_path: Path) -> None:
    """The anchor is a folder here; a bucket with object lock lets nobody delete either."""
    write_json(proposed / anchor.ANCHOR, {"address": tmp_path.as_uri()})
    try:
        client = connect()
        promotion.approve(client, "bars", "1", GRACE, "the first")
        assert audit(client, "bars")[1] == []
        assert len(list((tmp_path / "bars").iterdir())) == 2
        cut(proposed, 0)
        [line] = audit(client, "bars")[1]
        assert line.endswith("has decision 1, which the log lacks: it was removed or changed")
        promotion.approve(client, "bars", "2", GRACE, "another first")
        assert any("which the log lacks" in line for line in audit(client, "bars")[1])
    finally:
        (proposed / anchor.ANCHOR).unlink()


def test_what_a_delete_marker_hides_in_a_bucket_is_still_known(proposed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_bucket() as (address, keys):
        for name, value in {"ENDPOINT_URL": address, "ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b"}.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        write_json(proposed / anchor.ANCHOR, {"address": "s3://locked/decisions"})
        try:
            client = connect()
            promotion.approve(client, "bars", "1", GRACE, "the first")
            assert [key.split("-")[0] for key in keys] == ["decisions/bars/00000001", "decisions/bars/00000002"]
            assert audit(client, "bars")[1] == [] and anchor.systems() == {"bars"}
            cut(proposed, 0)
            [line] = audit(client, "bars")[1]
            assert line.startswith("s3://locked/decisions has decision 1, which the log lacks")
        finally:
            (proposed / anchor.ANCHOR).unlink()


@contextmanager
def running_bucket() -> Iterator[tuple[str, list[str]]]:
    """A bucket's API: it takes objects, lists the versions of all, one a page, and shows no object to a plain listing."""
    keys: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            keys.append(self.path.split("?")[0].removeprefix("/locked/"))
            self._answer("")

        def do_GET(self) -> None:
            asked = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
            assert "versions" in asked
            found = [key for key in keys if key.startswith(asked["prefix"][0])]
            first = int(asked.get("version-id-marker", ["0"])[0])
            shown = "".join(f"<Version><Key>{key}</Key></Version>" for key in found[first : first + 1])
            more = f"<NextKeyMarker>a</NextKeyMarker><NextVersionIdMarker>{first + 1}</NextVersionIdMarker>"
            more = f"<IsTruncated>true</IsTruncated>{more}" if first + 1 < len(found) else ""
            self._answer(
                f'<ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{more}{shown}</ListVersionsResult>'
            )

        def _answer(self, content: str) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", keys
        server.shutdown()


def test_an_anchor_that_cannot_be_reached_is_one_line(proposed: Path) -> None:
    write_json(proposed / anchor.ANCHOR, {"address": "file:///proc/nowhere"})
    try:
        with pytest.raises(
            TidemillError, match=r"the decision was made, and .*does not take it.*--repair` tries again"
        ):
            promotion.approve(connect(), "bars", "1", GRACE, "the first")
        assert load(CHAMPION).name == "bars/1"
        write_json(proposed / anchor.ANCHOR, {"adress": "s3://x"})
        assert any("keys/anchor.json: address: Field required" in line for line in audit(connect(), "bars")[1])
    finally:
        (proposed / anchor.ANCHOR).unlink()


# Logs that cannot be read.


@pytest.mark.parametrize(
    "line",
    [
        "",
        "no JSON",
        "[" * 10_000,
        '{"number": ' + "[" * 900 + "]" * 900 + "}",
        "1",
        "null",
        json.dumps({"number": 1}),
        ENTRY.line.replace('"number": 1', '"number": "1"'),
        ENTRY.line.replace('"why": "why"', '"why": {"deep": []}'),
        ENTRY.line.replace('"number": 1', '"number": 1, "more": 2'),
    ],
    ids=["empty", "no JSON", "deep", "deep field", "number", "null", "lacks fields", "text", "object", "more fields"],
)
def test_a_log_that_cannot_be_read_is_one_line_and_the_audit_goes_on(
    proposed: Path, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from tidemill.cli import review

    client = connect()
    client.create_registered_model("others")
    experiment = client.create_experiment("decisions/bars")
    run = client.create_run(experiment).info.run_id
    with database(proposed) as open_database:
        open_database.execute("INSERT INTO params (key, value, run_uuid) VALUES ('00000001', ?, ?)", (line, run))
    entries, wrong = audit(client, "bars")
    assert entries == [] and len(wrong) == 1
    assert wrong[0].startswith("bars: the registry's decision log: entry 1 ") and len(wrong[0].splitlines()) == 1
    with pytest.raises(SystemExit) as ended:
        review.audit(None, False)
    printed = capsys.readouterr().out
    assert ended.value.code == 1
    assert "bars: WRONG: " in printed and "others: 0 entries, unbroken" in printed


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[" * 10_000, b"{}\n", b"\n\nnull\n"])
def test_a_file_of_decisions_that_cannot_be_read_is_one_line(proposed: Path, content: bytes) -> None:
    promotion.approve(connect(), "bars", "1", GRACE, "the first")
    decision_file.path("bars").write_bytes(content)
    wrong = audit(connect(), "bars")[1]
    assert wrong and all("decisions/bars.jsonl" in line and len(line.splitlines()) == 1 for line in wrong)
    with pytest.raises(TidemillError, match=r"decisions/bars\.jsonl"):
        load(CHAMPION)


# Logs of before there were signatures.


def test_an_older_log_is_told_and_not_broken_and_goes_on_signed(proposed: Path) -> None:
    client = connect()
    log = DecisionLog(client, "bars")
    promotion.approve(client, "bars", "1", GRACE, "the first")
    entries = [replace(entry, signer=None, signature=None) for entry in log.entries()]
    entries[1] = replace(entries[1], previous=entries[0].sha256)
    with database(proposed) as open_database:
        for entry in entries:
            open_database.execute("UPDATE params SET value = ? WHERE key = ?", (entry.line, f"{entry.number:08d}"))
    decision_file.path("bars").write_text("".join(f"{entry.line}\n" for entry in entries))
    entries, wrong = audit(client, "bars")
    assert wrong == []
    assert notes(client, "bars", entries)[0] == "2 of 2 entries are unsigned (made before entries were signed)"
    assert str(entries[0]).endswith("[unsigned (made before entries were signed)]")
    assert load(CHAMPION).name == "bars/1"
    assert propose(proposed, seed=1, wrong=3) == "2"
    promotion.approve(client, "bars", "2", GRACE, "fewer mistakes")
    assert [bool(entry.signature) for entry in log.entries()] == [False, False, True, True]
    assert log.append(next_entry(version="1", champion_before="2", champion_after="1", action="rollback"))
    with pytest.raises(TidemillError, match="entry 5 is not signed, though entries before it are"):
        log.entries()


def test_an_older_log_that_only_the_store_has_is_not_believed(proposed: Path) -> None:
    """It looks the same as one that somebody has just made up."""
    log = DecisionLog(connect(), "bars")
    begun = next_entry()
    assert log.append(begun)
    assert log.append(replace(begun, state="done", **following(log.entries())))  # type: ignore[arg-type]
    connect().set_registered_model_alias("bars", "champion", "1")
    with pytest.raises(TidemillError, match=r"decision 1 is not signed, and decisions/bars\.jsonl does not have it"):
        load(CHAMPION)


# Decisions that are signed through Sigstore.


def test_who_decides_through_sigstore_needs_no_key(proposed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = connect()
    kept = shutil.copytree(proposed / "keys", proposed / ".tidemill/keys-kept")
    try:
        with running_sigstore() as sigstore:
            write_json(proposed / "keys/trust.json", sigstore.trust())
            settings = {"identity": "ci@example.org", "issuer": sigstore.address, "trust": "keys/trust.json"}
            write_json(proposed / signers.SIGSTORE, settings | {"deciders": sigstore.address})
            monkeypatch.setenv(signers.TOKEN, sigstore.token("mallory@localhost"))
            with pytest.raises(TidemillError, match="do not match grace@localhost"):
                promotion.approve(client, "bars", "1", GRACE, "as Grace")
            monkeypatch.setenv(signers.TOKEN, sigstore.token("grace@localhost"))
            entry = promotion.approve(client, "bars", "1", GRACE, "the first" + "." * 3000)
        assert len(entry.line) > 6000  # longer than a param
        assert not (proposed / ".tidemill/keys/deciders/grace@localhost.pem").exists()
        assert audit(client, "bars")[1] == []
        assert load(CHAMPION).name == "bars/1"
    finally:
        shutil.rmtree(proposed / "keys")
        kept.rename(proposed / "keys")
