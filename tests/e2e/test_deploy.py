"""Deployments on a real server with a real worker: scheduled, run, cancelled, and what follows when the worker dies."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from tests.dvc_repositories import TIDEMILL, DvcRepository, quiet_environment
from tests.e2e.test_flow import ask

ROOT = Path(__file__).parents[2]
PREFECT = Path(sys.executable).with_name("prefect")
WAIT = "[ -e go ] || { sleep 1000 & echo $! > child; wait; }; echo x > end"
"""A stage that waits for a process of its own until a file `go` is there."""

ASKS = """
import time
from prefect import flow
from prefect.flow_runs import suspend_flow_run

@flow(persist_result=True)
def asks():
    time.sleep(2)  # a review reads the registry first; the first beat, sent beside it, must not come after the end
    suspend_flow_run(timeout=None)
"""
ASKS_DEPLOYED = """
  - name: asks
    entrypoint: flows/asks.py:asks
    work_pool: *pool
    parameters: {}
"""
"""What `prefect.yaml` says of it: the worker runs no deployment that is not there."""
IN_THE_FOLDER = ("--param", "commit=null")


class Deployed(DvcRepository):
    """A repository with the shipped deployments, brought up by the command behind `make deploy`."""

    def __init__(self, folder: Path, url: str) -> None:
        super().__init__(folder, quiet_environment(folder.parent) | {"PREFECT_API_URL": url})
        self.url = url
        for name in ("flows", "scripts"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "prefect.yaml", folder)
        (folder / ".venv").symlink_to(ROOT / ".venv")
        # a run beats as it starts and every 30 s after
        self.write(
            "flows/automations.yaml",
            self.read("flows/automations.yaml").replace("within: 90", "within: 40").replace("180", "60"),
        )
        self.write("flows/asks.py", ASKS)
        self.write("prefect.yaml", self.read("prefect.yaml") + ASKS_DEPLOYED)
        self.stages(wait={"cmd": WAIT, "outs": ["end"]})
        self.write(".gitignore", "/.venv\n/.tidemill\n__pycache__\n/child\n/end\n/said\n")
        self.write("go", "")
        self.command("git", "add", "--all")
        self.command("git", "config", "user.name", "Ada")
        self.command("git", "config", "user.email", "ada@localhost")
        self.command("git", "commit", "--quiet", "--message", "Start")
        (folder / "go").unlink()
        with (folder / "said").open("wb") as said:
            self.process = subprocess.Popen(["scripts/deploy.sh"], cwd=folder, env=self.environment, stdout=said)
        self.until(lambda: ask(url, "work_pools/filter") and ask(url, "work_pools/tidemill/workers/filter"))

    def prefect(self, *arguments: str) -> str:
        return self.command(str(PREFECT), "--no-prompt", *arguments)

    def runs(self, **conditions: Any) -> list[dict[str, Any]]:
        runs = {"deployment_id": {"is_null_": False}} | conditions
        found: list[dict[str, Any]] = ask(self.url, "flow_runs/filter", flow_runs=runs, sort="EXPECTED_START_TIME_DESC")
        return found

    def state(self, run: dict[str, Any]) -> str:
        return str(self.runs(id={"any_": [run["id"]]})[0]["state"]["name"])

    def deploy(self, *schedules: dict[str, Any]) -> str:
        """Deploy `train` again, with these schedules, by what `make deploy` runs; return what it says."""
        declared = yaml.safe_load(self.read("prefect.yaml"))["deployments"]
        train, asks = (next(one for one in declared if one["name"] == name) for name in ("train", "asks"))
        train["schedules"] = list(schedules)
        self.write("prefect.yaml", yaml.safe_dump({"name": "tidemill", "deployments": [train, asks]}))
        return self.command(sys.executable, "-m", "flows.deployments")

    def deployment(self, name: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}/deployments/name/{name}") as response:
            found: dict[str, Any] = json.load(response)
        return found

    def start_run(self, deployment: str = "train/train", *arguments: str) -> dict[str, Any]:
        """Start a run by the tool's own command; it is there, not yet begun."""
        known = {run["id"] for run in self.runs()}
        self.prefect("deployment", "run", deployment, *arguments)
        return next(run for run in self.runs() if run["id"] not in known)

    def wait_for_stage(self) -> int:
        self.until((self.folder / "child").exists)
        self.until(lambda: self.read("child").strip())
        pid = int(self.read("child"))
        (self.folder / "child").unlink()
        return pid

    def until(self, happens: Callable[[], Any], seconds: float = 300) -> Any:
        end = time.monotonic() + seconds
        while not (found := happens()):
            assert time.monotonic() < end and self.process.poll() is None
            time.sleep(0.2)
        return found

    def processes(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def worker(self) -> psutil.Process:
        return next(process for process in self.processes() if "flows.pool_worker" in process.cmdline())


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory, prefect_url: str) -> Iterator[Deployed]:
    made = Deployed(tmp_path_factory.mktemp("deployed") / "project", prefect_url)
    yield made
    if made.process.poll() is None:
        made.process.terminate()
        made.process.wait()


def test_missed_runs_are_one_on_the_last_commit_and_a_pause_lasts(deployed: Deployed) -> None:
    """The worker stands still while runs come due; what lies in the folder is not what a schedule runs."""
    deployed.write("dvc.yaml", deployed.read("dvc.yaml").replace("echo x", "echo uncommitted"))
    worker = deployed.worker()
    worker.suspend()
    try:
        said = deployed.deploy({"interval": 5})
        assert re.search(r"train/train +every 0:00:05 UTC +\d{4}-\d\d-\d\d .* 1; another waits", said)
        due = {"before_": (datetime.now(UTC) + timedelta(seconds=20)).isoformat()}
        deployed.until(lambda: datetime.now(UTC) > datetime.fromisoformat(due["before_"]))
        missed = deployed.runs(expected_start_time=due, state={"type": {"any_": ["SCHEDULED"]}})
        schedule = deployed.deployment("train/train")["schedules"][0]["id"]
        deployed.prefect("deployment", "schedule", "pause", "train/train", schedule)
    finally:
        worker.resume()
    done = deployed.until(lambda: deployed.runs(state={"name": {"any_": ["Completed"]}}))[-1]
    assert len(missed) > 2
    assert done["expected_start_time"] >= missed[0]["expected_start_time"]
    states = {deployed.state(run) for run in missed if run["id"] != done["id"]}
    assert states == {"Missed"}

    commit = deployed.command("git", "rev-parse", "--short=12", "HEAD").strip()
    branch = f"train/{date.today().isoformat()}"
    left_out = f"commit {commit}, without the uncommitted changes of dvc.yaml, go, prefect.yaml"
    assert done["state"]["message"] == f"stages: 1 ran, 0 cached; {left_out}; branch {branch}"
    assert deployed.command("git", "diff", "--name-only", "HEAD", branch).split() == ["dvc.lock"]
    assert "uncommitted" not in deployed.command("git", "show", f"{branch}:dvc.lock")
    assert not (deployed.folder / "end").exists()
    assert len(deployed.command("git", "worktree", "list").splitlines()) == 1

    said = deployed.deploy({"interval": 5})
    assert "train/train: every 0:00:05 UTC stays paused; `prefect deployment schedule resume train/train " in said
    assert [schedule["active"] for schedule in deployed.deployment("train/train")["schedules"]] == [False]
    assert "train/train: every 0:00:05 UTC is not in prefect.yaml and was removed" in deployed.deploy()
    assert deployed.deployment("train/train")["schedules"] == []
    deployed.write("dvc.yaml", deployed.read("dvc.yaml").replace("echo uncommitted", "echo x"))

    own = {"deployment_id": {"any_": [deployed.deployment("train/train")["id"]]}}
    for run in deployed.runs(**own, state={"type": {"any_": ["SCHEDULED"]}}):
        ask(deployed.url, f"flow_runs/{run['id']}/set_state", state={"type": "CANCELLED"}, force=True)
    deployed.until(lambda: not deployed.runs(**own, state={"type": {"any_": ["RUNNING", "PENDING"]}}))


def test_status_shows_the_next_and_the_last_run(deployed: Deployed) -> None:
    shown = deployed.command(TIDEMILL, "status")
    assert re.search(r"train/train +- +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +Completed \(stages: 1 ran, 0 cached; ", shown)
    assert re.search(r"retrain/retrain +\d{4}-\d\d-\d\d 03:00:00 +-", shown)


def test_a_dead_worker_is_noticed_and_another_goes_on(deployed: Deployed) -> None:
    """The second run waits for the place of the first, and gets it once that is found dead; then it is cancelled.

    A run that is suspended until a person decides is silent as well, and not dead. One that a worker took and never
    started holds the one place of its deployment: another is refused, which is told, until that is found dead too.
    """
    taken = ask(deployed.url, f"deployments/{deployed.deployment('retrain/retrain')['id']}/create_flow_run")
    ask(deployed.url, f"flow_runs/{taken['id']}/set_state", state={"type": "PENDING"})
    refused = deployed.start_run("retrain/retrain")
    deployed.until(lambda: deployed.state(refused) == "Cancelled")
    line = f"retrain/retrain '{refused['name']}': Cancelled; Deployment concurrency limit reached."
    deployed.until(lambda: line in deployed.read("said"))
    events = {"event": {"name": ["tidemill.refused"]}}
    (event,) = deployed.until(lambda: ask(deployed.url, "events/filter", filter=events)["events"])
    assert event["payload"]["run"] == refused["name"]

    suspended = deployed.start_run("asks/asks")
    deployed.until(lambda: deployed.state(suspended) == "Suspended")
    dead = deployed.start_run("train/train", *IN_THE_FOLDER)
    stage = deployed.wait_for_stage()
    worker = deployed.worker()
    for process in [worker, *worker.children(recursive=True)]:
        process.kill()
    deployed.until(lambda: not psutil.pid_exists(stage))
    assert deployed.state(dead) == "Running"
    waiting = deployed.start_run("train/train", *IN_THE_FOLDER)
    deployed.until(lambda: deployed.state(dead) == "Crashed")
    assert deployed.state(suspended) == "Suspended"
    assert deployed.state(taken) == "Crashed"
    deployed.until(lambda: f"{dead['name']}': Crashed; No sign of life" in deployed.read("said").replace("\n", " "))

    stage = deployed.wait_for_stage()
    assert deployed.state(waiting) == "Running"
    ask(deployed.url, f"flow_runs/{waiting['id']}/set_state", state={"type": "CANCELLING"})
    deployed.until(lambda: deployed.state(waiting) == "Cancelled")
    assert not psutil.pid_exists(stage)
    assert not (deployed.folder / "end").exists()


def test_ctrl_c_ends_the_worker_and_the_runs(deployed: Deployed) -> None:
    deployed.start_run("train/train", *IN_THE_FOLDER)
    stage = deployed.wait_for_stage()
    processes = deployed.processes()
    os.kill(deployed.process.pid, signal.SIGINT)
    assert deployed.process.wait() == 0
    assert [process for process in processes if process.is_running() and process.status() != "zombie"] == []
    assert not psutil.pid_exists(stage)
