"""The sandbox of `tidemill reproduce`: code of a version writes nowhere but into its worktree, and reaches nobody."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.dvc_repositories import quiet_environment
from tidemill.core.errors import TidemillError
from tidemill.provenance.sandbox import Sandbox, Wanted, choose
from tidemill.provenance.stages import run_again
from tidemill.repository import dvc

HOSTILE = """
import os, socket, sys
from pathlib import Path

outside, port = Path(sys.argv[1]), int(sys.argv[2])
found = []
for target in (outside / "owned", Path.home() / ".owned", Path("/tmp/owned"), Path("/dev/shm/owned")):
    try:
        target.write_text("owned")
        found.append(f"wrote {target}")
    except OSError:
        pass
try:
    socket.create_connection(("127.0.0.1", port), timeout=5).close()
    found.append("connected")
except OSError:
    pass
Path("found.txt").write_text(", ".join(found))
"""
STAGE = """
  {name}:
    foreach: [bars]
    do:
      cmd: python hostile.py {outside} {port} && cp found.txt {name}.txt
      deps: [data]
      outs: [{name}.txt]
"""


@pytest.fixture
def sandbox() -> Sandbox:
    """Bubblewrap, where it works."""
    try:
        return choose(Wanted.BWRAP)
    except TidemillError as reason:
        pytest.skip(str(reason))


@pytest.fixture
def listener() -> Iterator[int]:
    """A port of the loopback that answers."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def attack(folder: Path, outside: Path, port: int, where: Sandbox) -> str:
    """Run the hostile program; return what it could do."""
    folder.mkdir()
    (folder / "hostile.py").write_text(HOSTILE)
    command = where.command([sys.executable, "hostile.py", str(outside), str(port)], folder)
    environment = {**os.environ, **where.environment(folder), "HOME": str(outside)}
    subprocess.run(command, cwd=folder, env=environment, check=True)
    return (folder / "found.txt").read_text()


def test_code_writes_nowhere_else_and_connects_to_nobody(tmp_path: Path, listener: int, sandbox: Sandbox) -> None:
    (outside := tmp_path / "outside").mkdir()
    # The memory of the sandbox's own /dev/shm is gone with it.
    assert attack(tmp_path / "confined", outside, listener, sandbox) == "wrote /dev/shm/owned"
    assert list(outside.iterdir()) == [] and not Path("/tmp/owned").exists() and not Path("/dev/shm/owned").exists()
    try:
        unconfined = attack(tmp_path / "unconfined", outside, listener, choose(Wanted.NONE))
    finally:
        for path in ("/tmp/owned", "/dev/shm/owned"):
            Path(path).unlink(missing_ok=True)
    assert unconfined.startswith(f"wrote {outside / 'owned'}, ") and unconfined.endswith("connected")


def test_the_stages_of_a_version_run_in_it(
    tmp_path: Path, listener: int, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    (outside := tmp_path / "outside").mkdir()
    main, project = tmp_path / "main", tmp_path / "project"
    (main / "data").mkdir(parents=True)
    for name, value in quiet_environment(tmp_path / "own").items():
        monkeypatch.setenv(name, value)
    stages = ("ingest", "validate", "tokenize", "train")
    bodies = [STAGE.format(name=name, outside=outside, port=listener) for name in stages]
    (main / "dvc.yaml").write_text("stages:" + "".join(bodies))
    (main / "hostile.py").write_text(HOSTILE)
    (main / "data" / "rows.csv").write_text("1\n")
    git = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@localhost"]
    for command in (
        [*git, "init", "--quiet"],
        ["dvc", "init", "--quiet"],
        ["dvc", "add", "--quiet", "data"],
        [*git, "add", "--all"],
        [*git, "commit", "--quiet", "-m", "Start"],
        [*git, "worktree", "add", "--quiet", "--detach", str(project)],
    ):
        subprocess.run(command, cwd=main, check=True, capture_output=True)
    dvc.share(main, project)  # the cache of the project, which the sandbox only reads
    dvc.fetch_outputs(project, ["data"])
    entries = run_again(project, "bars", "cpu", print, sandbox)
    assert sorted(entries) == [f"{name}@bars" for name in sorted(stages)]
    assert (project / "train.txt").read_text() == "wrote /dev/shm/owned"
    assert entries["train@bars"]["deps"][0]["nfiles"] == 1
    assert list(outside.iterdir()) == []


def test_where_it_does_not_work_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert choose(Wanted.AUTO).said.startswith("without a sandbox, as bwrap is not installed")
    (tmp_path / "bwrap").write_text("#!/bin/sh\necho 'No permissions to create a new namespace' >&2\nexit 1\n")
    (tmp_path / "bwrap").chmod(0o755)
    told = choose(Wanted.AUTO)
    assert not told.confined and "bwrap cannot run here (No permissions to create a new namespace)" in told.said
    assert told.command(["python"], tmp_path) == ["python"] and told.environment(tmp_path) == {}
    with pytest.raises(TidemillError, match="--sandbox bwrap: bwrap cannot run here"):
        choose(Wanted.BWRAP)
