"""The doctor on machines that lack something: each check names what it found, and its fix."""

import re
from importlib import metadata
from pathlib import Path

import pytest

from tests.projects import ROOT
from tidemill.cli import doctor
from tidemill.provenance.environment import LOCKS, unlike_lock


@pytest.fixture
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of lock files as the shipped ones, in a project that is the working folder."""
    folder = tmp_path / "requirements"
    folder.mkdir()
    for lock in LOCKS:
        (folder / f"{lock}.lock").write_bytes((ROOT / "requirements" / f"{lock}.lock").read_bytes())
    monkeypatch.chdir(tmp_path)
    return folder


def test_a_package_of_another_version_and_one_that_is_missing_are_named(locks: Path) -> None:
    base = locks / "base.lock"
    text, changed = re.subn(r"^numpy==\S+", "numpy==1.0.0", base.read_text(), flags=re.MULTILINE)
    assert changed == 1
    base.write_text(text + "left-out==1.2 \\\n    --hash=sha256:aa\nelsewhere==3.4 ; sys_platform == 'plan9' \\\n")
    found = set(unlike_lock(locks)) - set(unlike_lock(ROOT / "requirements"))
    assert found == {f"numpy {metadata.version('numpy')} (locked 1.0.0)", "left-out missing (locked 1.2)"}
    check = doctor.environment()
    assert not check.ok and check.fix == "make setup"
    assert check.detail.startswith(f"{len(unlike_lock(locks))} packages differ: ")


def test_lock_files_that_pin_nothing_are_not_an_environment_as_locked(locks: Path) -> None:
    for lock in LOCKS:
        (locks / f"{lock}.lock").write_text("# empty\n")
    check = doctor.environment()
    assert (check.ok, check.detail) == (False, "requirements/*.lock pin no package")
    (locks / "uv.lock").unlink()
    assert (doctor.environment().ok, doctor.environment().detail) == (False, "requirements/*.lock not found")
