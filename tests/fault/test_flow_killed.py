"""A flow that is killed at a named point or at any moment, with or without a stage: what is left, and the next run.

A few kills are part of every run; `pytest tests/fault/test_flow_killed.py --kills 200` takes all points in turn.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from tests.dvc_repositories import DvcRepository
from tests.fault.kills import PATHS

RUN = """
import os, signal, sys
from importlib import import_module
place, name, when, victims, *arguments = sys.argv[1:]
flow, mark = os.getpid(), os.path.abspath("killed")
holder = import_module(place.partition(":")[0])
if ":" in place:
    holder = getattr(holder, place.partition(":")[2])
real = getattr(holder, name)
def kill():
    try:
        os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    for victim in {"flow": [flow], "stage": [os.getpid()], "both": [flow, os.getpid()]}[victims]:
        os.kill(victim, signal.SIGKILL)
def point(*given, **options):
    if when == "before":
        kill()
    returned = real(*given, **options)
    if when == "after":
        kill()
    return returned
setattr(holder, name, point)
from tidemill.cli import app
sys.argv[1:] = ["run", *arguments]
app()
"""
IN_THE_FLOW = (
    ("flows.records", "_write_journal"),
    ("flows.records", "_sort_new"),
    ("flows.stages:StageRunner", "_send"),
    ("flows.durations", "remember"),
)
IN_A_STAGE = (
    ("json", "dump"),  # DVC's list of the files that are locked
    ("flows.lockfile", "write"),
    ("dvc.stage.run", "cmd_run"),
    ("dvc.stage:PipelineStage", "save"),
    ("dvc.stage:PipelineStage", "commit"),
    ("dvc.stage:PipelineStage", "dump"),
    ("dvc.stage.cache:StageCache", "save"),
)


class Kill(NamedTuple):
    """Where, when and whom."""

    place: str
    name: str
    when: str
    victims: str


KILLS = [Kill(*point, when, "flow") for point in IN_THE_FLOW for when in ("before", "after")] + [
    Kill(*point, when, victims)
    for point in IN_A_STAGE
    for when in ("before", "after")
    for victims in ("flow", "stage", "both")
]
MOMENTS = 3
"""Of so many kills, one is at a point and the others are at a moment drawn at random."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    metafunc.parametrize("number", range(metafunc.config.getoption("kills")))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a run that nobody kills leaves."""
    from tests.dvc_repositories import quiet_environment

    folder = tmp_path_factory.mktemp("undisturbed")
    repository = small(DvcRepository(folder / "repository", quiet_environment(folder)))
    repository.repro()
    return left(repository.folder)


def small(repository: DvcRepository) -> DvcRepository:
    """Two branches of two stages and what joins them, with outputs of several kinds."""
    repository.write("seed", "corn\n")
    copy = {
        f"{name}{branch}": {
            "cmd": f"echo half > {target}; sleep 0.05; cat {source} > {target}",
            "deps": [source],
            "outs": [target],
        }
        for branch in "ab"
        for name, source, target in (("first", "seed", f"one.{branch}"), ("second", f"one.{branch}", f"two.{branch}"))
    }
    join = "mkdir join && cat two.a two.b > join/all"
    repository.stages(**copy, join={"cmd": join, "deps": ["two.a", "two.b"], "outs": ["join"]})
    return repository


def left(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not {".git", ".dvc", "killed"} & set(path.relative_to(folder).parts)
    }


def test_after_a_kill_the_next_run_ends_as_if_there_had_been_none(
    number: int, new_repository: Callable[[str], DvcRepository], undisturbed: dict[str, bytes]
) -> None:
    repository = small(new_repository("repository"))
    chance = random.Random(number)
    if number % MOMENTS:
        kill_at_a_moment(repository, chance)
    else:
        kill_at(repository, KILLS[number // MOMENTS * 5 % len(KILLS)])
    wait_until_nobody_works_in(repository.folder)
    run = repository.flow("--jobs", "2")
    assert run.returncode == 0, run.stdout
    assert left(repository.folder) == undisturbed
    temporary = [path.name for path in (repository.folder / ".dvc" / "tmp").rglob("*") if path.is_file()]
    assert not [name for name in temporary if name.startswith("flow-") or name.endswith((".partial", "dvc.lock"))]
    locked = repository.folder / ".dvc" / "tmp" / "rwlock"
    assert not locked.exists() or not any(json.loads(locked.read_text()).values())


def kill_at(repository: DvcRepository, kill: Kill) -> None:
    environment = repository.environment | {"PYTHONPATH": PATHS}
    command = [sys.executable, "-c", RUN, *kill, "--jobs", "2"]
    subprocess.run(command, cwd=repository.folder, env=environment, capture_output=True, check=False)
    assert (repository.folder / "killed").exists(), f"{kill} was never reached"


def kill_at_a_moment(repository: DvcRepository, chance: random.Random) -> None:
    """Kill the flow, all processes of one of its stages, or both, after some time."""
    flow = repository.start_flow("--jobs", "2")
    while not (repository.folder / ".dvc" / "tmp" / "flow" / "records.json").exists() and flow.poll() is None:
        time.sleep(0.01)
    time.sleep(chance.uniform(0, 2))
    victims = chance.choice(("flow", "stage", "both"))
    if victims != "flow":
        sessions = {_session(one.pid) for one in children(flow.pid)} - {os.getsid(0), _session(flow.pid), 0}
        for session in sorted(sessions)[-1:]:
            for process in psutil.process_iter():
                if process.is_running() and _session(process.pid) == session:
                    process.kill()
    if victims != "stage":
        flow.send_signal(signal.SIGKILL)
    flow.communicate()


def children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return 0


def wait_until_nobody_works_in(folder: Path) -> None:
    """What a killed flow has started ends by itself, and soon."""
    end = time.monotonic() + 120
    while at_work := [one for one in psutil.process_iter(["cwd"]) if one.info["cwd"] == str(folder)]:
        assert time.monotonic() < end, [one.cmdline() for one in at_work]
        time.sleep(0.1)
