"""Files that hold stores, keys and caches are for their owner alone, however open the account's own default is."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.registry.proposals import GRACE
from tidemill.registry import promotion
from tidemill.repository import dvc
from tidemill.tracking.store import connect


@pytest.fixture(autouse=True)
def _open_account() -> Iterator[None]:
    """An account whose new files everybody may read and write."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_new_store_is_its_owners(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    connect()
    assert (tmp_path / ".tidemill/mlflow/mlflow.db").exists()
    assert mode(tmp_path / ".tidemill") == 0o700


def test_a_folder_of_before_is_closed(project: Path) -> None:
    (project / ".tidemill").chmod(0o777)
    connect()
    assert mode(project / ".tidemill") == 0o700


def test_keys_are_their_owners(proposed: Path) -> None:
    promotion.approve(connect(), "bars", "1", GRACE, "the first")
    keys = proposed / ".tidemill/keys"
    found = {path.relative_to(keys).as_posix(): mode(path) for path in keys.rglob("*.pem")}
    assert found == {"model-signing.pem": 0o600, "deciders/grace@localhost.pem": 0o600}
    assert mode(keys / "deciders") == 0o700


def test_dvcs_records_are_their_owners(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DVC itself keeps them where all users of the machine may write, and unpickles them."""
    monkeypatch.delenv("DVC_SITE_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "project"
    folder.mkdir()
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    dvc.output("init", "--quiet", folder=folder)
    (folder / "data").write_text("1")
    dvc.output("add", "--quiet", "data", folder=folder)
    records = tmp_path / "cache/tidemill/dvc"
    assert mode(records) == 0o700 and any(records.rglob("*.db"))
    shutil.rmtree(records)
    tidemill = str(Path(sys.executable).with_name("tidemill"))
    done = subprocess.run([tidemill, "status"], cwd=folder, capture_output=True, text=True)
    assert mode(records) == 0o700, done.stderr
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "own"))
    assert dvc.environment()["DVC_SITE_CACHE_DIR"] == str(tmp_path / "own")
