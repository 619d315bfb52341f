"""The code of a version in a folder of its own, and what cannot be had again."""

import subprocess
from contextlib import chdir
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tidemill.core.errors import TidemillError
from tidemill.provenance.reproduce import checked_out, reproduce, tracked
from tidemill.registry import lineage
from tidemill.registry.lineage import upgraded
from tidemill.repository import dvc
from tidemill.repository.git import worktree


def git(*arguments: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    return subprocess.run(["git", *identity, *arguments], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The commit of a repository of one file, in which the working folder is."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    Path("params.yaml").write_text("seed: 0\n")
    Path("data.dvc").write_text("outs:\n- {md5: a.dir, hash: md5, path: data}\n")
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    return git("rev-parse", "HEAD")


def code(commit: str | None, diff: str | None = None) -> dict[str, Any]:
    return {"commit": commit, "dirty": bool(diff), "diff": diff, "untracked": {}}


def test_a_worktree_is_clean_and_goes_again(commit: str) -> None:
    Path("params.yaml").write_text("seed: 1\n")
    with checked_out(code(commit), "models:/bars/1") as made:
        assert (made / "params.yaml").read_text() == "seed: 0\n"
    assert not made.exists()
    assert git("worktree", "list").count("\n") == 0


def test_a_stored_difference_is_applied_and_a_named_folder_stays(commit: str, tmp_path: Path) -> None:
    Path("params.yaml").write_text("seed: 1\n")
    diff = subprocess.run(["git", "diff", "HEAD"], check=True, capture_output=True, text=True).stdout
    git("checkout", "--quiet", ".")
    folder = tmp_path / "to look at"
    with checked_out(code(commit, diff), "models:/bars/1", folder) as made:
        assert (made / "params.yaml").read_text() == "seed: 1\n"
    assert folder.exists()


@pytest.mark.parametrize(
    ("made_at", "reason"), [("e" * 40, "lacks its commit " + "e" * 40), (None, "made outside a git repository")]
)
def test_code_that_cannot_be_had_is_named(commit: str, made_at: str | None, reason: str) -> None:
    with pytest.raises(TidemillError, match=reason), checked_out(code(made_at), "models:/bars/1"):
        pass


def test_a_copy_of_the_head_is_removed_however_the_block_ends(commit: str) -> None:
    """As retraining works in one, inside of the project and with another working folder."""
    here, folder = Path.cwd(), Path("copies/retrain").absolute()
    with pytest.raises(KeyboardInterrupt), worktree(folder), chdir(folder):
        assert git("rev-parse", "HEAD") == commit
        raise KeyboardInterrupt
    assert Path.cwd() == here and not folder.exists()
    assert git("worktree", "list").count("\n") == 0


def test_a_difference_keeps_its_line_ends(commit: str) -> None:
    Path("rows.csv").write_bytes(b"id\r\n1\r\n")
    git("add", ".")
    git("commit", "--quiet", "-m", "rows")
    Path("rows.csv").write_bytes(b"id\r\n2\r\n")
    found = lineage.code()
    with checked_out(found, "models:/bars/1") as made:
        assert (made / "rows.csv").read_bytes() == b"id\r\n2\r\n"


def test_a_version_whose_files_nobody_kept_is_refused(commit: str) -> None:
    entry = {"deps": [{"path": "src/own", "hash": "md5", "md5": "a.dir"}]}
    known = {"params": {"task": "x"}, "weights_sha256": "a" * 64, "determinism": "bitwise"}
    dirty = code(commit) | {"untracked": {"src/own/new.py": "b" * 64, "notes.txt": "c" * 64}}
    then = upgraded(known | {"code": dirty, "dvc": {"lock_sha256": None, "stages": {"train@bars": entry}}})
    version: Any = SimpleNamespace(address="models:/bars/1", lineage=then)
    with pytest.raises(TidemillError, match=r"files that git did not track \(src/own/new\.py\)"):
        reproduce(version, False, None, print)


def test_only_the_data_that_params_name_is_brought(commit: str) -> None:
    params = {"source": {"path": "data/bars"}, "model": {"pretrained": {"path": "data/base"}}, "task": "x"}
    others = {"tokenizer": "database/vocabulary", "table": "other/data"}
    assert tracked(Path(), params | others) == ["data/bars", "data/base"]


def test_settings_are_shared_though_they_stand_in_one_section(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        (folder / ".dvc").mkdir(parents=True)
        (folder / ".dvc/config").write_text("[core]\n    no_scm = true\n")
    with (one / ".dvc/config").open("a") as config:
        config.write("    analytics = false\n    remote = near\n['remote \"near\"']\n    url = ../../elsewhere\n")
    dvc.share(one, other)
    shared = dvc.output("config", "--list", "--local", folder=other).splitlines()
    expected = {f"remote.near.url={tmp_path / 'elsewhere'}", "core.remote=near", f"cache.dir={one / '.dvc/cache'}"}
    assert expected <= set(shared)
    assert (other / ".dvc/config.local").stat().st_mode & 0o077 == 0


def test_that_no_remote_is_set_is_said(tmp_path: Path) -> None:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\n    no_scm = true\n")
    (tmp_path / "rows.csv.dvc").write_text(f"outs:\n- {{md5: {'a' * 32}, hash: md5, path: rows.csv}}\n")
    with pytest.raises(TidemillError, match=r"rows\.csv is not in DVC's cache, and no remote is set"):
        dvc.fetch_outputs(tmp_path, ["rows.csv"])
