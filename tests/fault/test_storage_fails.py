"""A disk that is full or read-only, files that may not grow, and bytes that have flipped."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest

from tests.fault.acts import PROMOTION, REGISTRATION, Act
from tests.fault.disturbances import Disk, flip, quota, read_only
from tests.unit.registry.proposals import GRACE, as_it_was, changed, proposed_project, stored
from tidemill.core.errors import TidemillError
from tidemill.registry import promotion
from tidemill.registry.audit import audit
from tidemill.serving.loading import load
from tidemill.tracking import store

KIB = 1024
FREE = (400 * KIB,)
"""Bytes that are left on the disk: at which step there is no room for the next depends on them."""
EVERY_FREE = tuple(size * KIB for size in range(0, 800, 8))
QUOTAS = (64 * KIB,)
EVERY_QUOTA = tuple(size * KIB for size in (1, 4, 16, 64, 128, 256, 512, 768, 1024, 1280))


@pytest.fixture(scope="module")
def on_disk(disk: Disk, empty_store: Path) -> Path:
    """A project with two challengers on the small disk."""
    (folder := disk.folder / "proposed").mkdir()
    return proposed_project(folder, empty_store)


@pytest.fixture(params=[REGISTRATION, PROMOTION], ids=str)
def act(request: pytest.FixtureRequest, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> Iterator[Act]:
    """Something to disturb, in a project of its own on the small disk."""
    act: Act = request.param
    if act is REGISTRATION:
        project = Path(
            mkdtemp(dir=disk.folder)
        )  # a new path, since MLflow keeps the connection to a store of that name
        shutil.copytree(request.getfixturevalue("evaluated"), project, dirs_exist_ok=True)
        monkeypatch.chdir(project)
        yield act
        monkeypatch.undo()
        shutil.rmtree(project)
    else:
        monkeypatch.chdir(project := request.getfixturevalue("on_disk"))
        with as_it_was(project):
            yield act


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Try a few points, or all of them with `--every-point`."""
    every = metafunc.config.getoption("--every-point")
    for name, few, all_of_them in (("free", FREE, EVERY_FREE), ("largest", QUOTAS, EVERY_QUOTA)):
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, all_of_them if every else few)


def test_a_full_disk(act: Act, disk: Disk, free: int) -> None:
    with disk.full(free):
        failed = act.fail_in_one_line()
    assert failed or free >= 400 * KIB
    act.succeed()


@pytest.mark.nightly
def test_a_quota(act: Act, largest: int) -> None:
    failed = act.fail_in_one_line(*quota(largest))
    assert failed or largest > 256 * KIB
    act.succeed()


def test_a_read_only_folder(act: Act) -> None:
    assert act.fail_in_one_line(*read_only(Path.cwd()))
    act.succeed()


def test_a_flipped_byte_in_a_version(proposed: Path) -> None:
    """In each of its files: no byte of it may pass."""
    folder = stored(proposed, "bars", "1")
    load("models:/bars/1")
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with changed(folder):
            flip(path, 0.5)
            with pytest.raises(TidemillError):
                load("models:/bars/1")


def test_a_flipped_byte_in_the_log(proposed: Path, every: bool) -> None:
    promotion.approve(store.connect(), "bars", "1", GRACE, "good")
    file = proposed / "decisions/bars.jsonl"
    whole = file.read_bytes()
    for place in range(0, len(whole), 1 if every else len(whole) // 12):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 0x01]) + whole[place + 1 :])
        assert audit(store.connect(), "bars")[1], f"byte {place}"
    file.write_bytes(whole)
    assert audit(store.connect(), "bars")[1] == []
