"""What `tidemill run` shows: on a terminal a live table, plain lines where there is none."""

import os
import pty
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.dvc_repositories import TIDEMILL, DvcRepository


@pytest.fixture
def repository(new_repository: Callable[[str], DvcRepository]) -> DvcRepository:
    """Two stages, of which the first ends once a file `go` is there."""
    made = new_repository("repository")
    waits = "echo begun; while [ ! -e go ]; do sleep 0.05; done; sleep 0.5; echo x > one"
    made.stages(
        first={"cmd": waits, "outs": ["one"]}, second={"cmd": "cat one > two", "deps": ["one"], "outs": ["two"]}
    )
    return made


def on_a_terminal(repository: DvcRepository, *arguments: str) -> str:
    """Run the flow on a pseudo-terminal; return all that it wrote there, cursor moves left out."""
    ours, theirs = pty.openpty()
    environment = repository.environment | {"TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    process = subprocess.Popen(
        [TIDEMILL, "run", *arguments],
        cwd=repository.folder,
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    written = b""
    while part := _read(ours):
        written += part
        if re.search(rb"first +\S*running", written):
            Path(repository.folder, "go").touch()
    os.close(ours)
    assert process.wait() == 0, written
    return re.sub(r"\x1b\[[0-?]*[ -/]*[@-~]", "", written.decode())


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:  # how Linux says that the other side is closed
        return b""


def test_a_live_table_on_a_terminal(repository: DvcRepository) -> None:
    shown = on_a_terminal(repository)
    assert "0 of 2 stages done, 1 running, 1 waiting" in shown
    assert re.search(r"second +waiting +for first", shown)
    assert re.search(r"\d\d:\d\d:\d\d\.\d+ \| first \| begun", shown)
    assert re.search(r"first +completed +[\d.]+", shown)
    assert "left" not in shown  # nothing is known of how long these take
    (repository.folder / "go").unlink()
    again = on_a_terminal(repository, "--force")
    assert re.search(r"0 of 2 stages done, 1 running, 1 waiting; about \d+ s left", again)


def test_plain_lines_where_there_is_no_terminal(repository: DvcRepository) -> None:
    repository.write("go", "")
    shown = repository.flow().stdout
    assert re.search(r"^\d\d:\d\d:\d\d\.\d+ \| first \| begun$", shown, re.MULTILINE)
    assert re.search(r"^\d\d:\d\d:\d\d\.\d+ \| second \| completed after [\d.]+ s$", shown, re.MULTILINE)
    assert "waiting" not in shown
    assert "\x1b" not in shown
