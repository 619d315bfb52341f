"""Entries of dvc.lock as pieces of text, held against how DVC reads and writes the whole."""

from pathlib import Path
from typing import Any

import pytest
from dvc.utils.serialize import load_yaml, modify_yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows import lockfile

texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=200)
names = st.from_regex(r"[\w-]{1,20}(@[\w{}~ -]{1,9})?", fullmatch=True)
contents = st.fixed_dictionaries(
    {"cmd": texts | st.lists(texts, min_size=1, max_size=3)},
    optional={
        "deps": st.lists(st.fixed_dictionaries({"path": texts, "hash": st.just("md5"), "size": st.integers(0)})),
        "params": st.dictionaries(texts, st.dictionaries(texts, texts | st.integers() | st.none() | st.booleans())),
    },
)


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    (tmp_path / ".dvc" / "tmp").mkdir(parents=True)
    return tmp_path / "dvc.lock"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(names, contents), min_size=1, max_size=6))
def test_what_is_written_is_what_dvc_writes(lock: Path, written: list[tuple[str, dict[str, Any]]]) -> None:
    ours, theirs = lock, lock.with_name("theirs.lock")
    for path in (ours, theirs):
        path.unlink(missing_ok=True)
    for name, content in written:
        as_dvc_writes(theirs, name, content)
        if not lockfile.put(ours, name, content):
            as_dvc_writes(ours, name, content)
        assert ours.read_bytes() == theirs.read_bytes()
    for name, content in dict(written).items():
        assert lockfile.get(ours, name) in (content, None)
    assert lockfile.get(ours, "not there") in ({}, None)


def as_dvc_writes(path: Path, name: str, content: dict[str, Any]) -> None:
    with modify_yaml(path) as data:
        if not data:
            data["schema"] = "2.0"
        data.setdefault("stages", {})[name] = content


@pytest.mark.parametrize(
    "text",
    [
        "schema: '2.0'\nstages: {}\n",
        "schema: '2.0'\nstages:\n  a: {cmd: x}\ndatasets: []\n",
        "# ours\nschema: '2.0'\nstages:\n  a:\n    cmd: x\n",
        "schema: '2.0'\nstages:\n  # ours\n  a:\n    cmd: x\n",
        "schema: '2.0'\nstages:\n  a:\n    cmd: &id001 x\n    other: *id001\n",
        "schema: '2.0'\r\nstages:\r\n  a:\r\n    cmd: x\r\n",
        "stages:\n  a:\n    cmd: x\n",
        "schema: '2.0'\nstages:\n  ? a\n  : cmd: x\n",
    ],
)
def test_a_file_that_dvc_would_not_write_so_is_left_to_dvc(lock: Path, text: str) -> None:
    lock.write_bytes(text.encode())
    assert not lockfile.put(lock, "a", {"cmd": "y"})
    assert lockfile.get(lock, "a") is None
    assert lock.read_bytes() == text.encode()


def test_other_entries_and_the_mode_stay_as_they_are(lock: Path) -> None:
    odd = "schema: '2.0'\nstages:\n  a:\n    cmd:    spaced   # and commented\n\n  b:\n    cmd: x\n"
    lock.write_text(odd)
    lock.chmod(0o640)
    assert lockfile.put(lock, "b", {"cmd": "y"})
    assert lock.read_text() == odd.replace("cmd: x", "cmd: y")
    assert lock.stat().st_mode & 0o777 == 0o640
    assert not list((lock.parent / ".dvc" / "tmp").iterdir())
    assert load_yaml(lock)["stages"]["b"] == {"cmd": "y"}
