"""Deployments on a real server with a real worker: scheduled, run, cancelled, and what follows when the worker dies."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.dvc_repositories import DvcRepository, quiet_environment
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
        self.write("flows/automations.yaml", self.read("flows/automations.yaml").replace("within: 90", "within: 40"))
        self.stages(wait={"cmd": WAIT, "outs": ["end"]})
        self.process = subprocess.Popen(["scripts/deploy.sh"], cwd=folder, env=self.environment)
        self.until(lambda: ask(url, "work_pools/filter") and ask(url, "work_pools/tidemill/workers/filter"))

    def prefect(self, *arguments: str) -> str:
        return self.command(str(PREFECT), "--no-prompt", *arguments)

    def runs(self, **conditions: Any) -> list[dict[str, Any]]:
        runs = {"deployment_id": {"is_null_": False}} | conditions
        found: list[dict[str, Any]] = ask(self.url, "flow_runs/filter", flow_runs=runs, sort="EXPECTED_START_TIME_DESC")
        return found

    def state(self, run: dict[str, Any]) -> str:
        return str(self.runs(id={"any_": [run["id"]]})[0]["state"]["name"])

    def start_run(self, deployment: str = "train/train") -> dict[str, Any]:
        """Start a run by the tool's own command; it is there, not yet begun."""
        known = {run["id"] for run in self.runs()}
        self.prefect("deployment", "run", deployment)
        return next(run for run in self.runs() if run["id"] not in known)

    def wait_for_stage(self) -> int:
        self.until((self.folder / "child").exists)
        self.until(lambda: self.read("child").strip())
        pid = int(self.read("child"))
        (self.folder / "child").unlink()
        return pid

    def until(self, happens: Callable[[], Any], seconds: float = 120) -> Any:
        end = time.monotonic() + seconds
        while not (found := happens()):
            assert time.monotonic() < end and self.process.poll() is None
            time.sleep(0.2)
        return found

    def processes(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory, prefect_url: str) -> Iterator[Deployed]:
    made = Deployed(tmp_path_factory.mktemp("deployed") / "project", prefect_url)
    yield made
    if made.process.poll() is None:
        made.process.terminate()
        made.process.wait()


def test_a_schedule_fires(deployed: Deployed) -> None:
    deployed.write("go", "")
    deployed.prefect("deployment", "schedule", "create", "train/train", "--interval", "30")
    try:
        deployed.until(lambda: deployed.runs(state={"name": {"any_": ["Completed"]}}))
    finally:
        deployed.prefect("deployment", "schedule", "clear", "train/train", "--accept-yes")
    assert deployed.read("end") == "x\n"
    for run in deployed.runs(state={"type": {"any_": ["SCHEDULED"]}}):
        ask(deployed.url, f"flow_runs/{run['id']}/set_state", state={"type": "CANCELLED"}, force=True)
    deployed.until(lambda: not deployed.runs(state={"type": {"any_": ["RUNNING", "PENDING"]}}))
    (deployed.folder / "go").unlink()
    (deployed.folder / "end").unlink()


def test_a_dead_worker_is_noticed_and_another_goes_on(deployed: Deployed) -> None:
    """The second run waits for the place of the first, and gets it once that is found dead; then it is cancelled.

    A run that is suspended until a person decides is silent as well, and not dead.
    """
    deployed.write("flows/asks.py", ASKS)
    deployed.command("git", "add", "flows/asks.py")
    deployed.write("prefect.yaml", deployed.read("prefect.yaml") + ASKS_DEPLOYED)
    deployed.prefect("deploy", "--name", "asks")
    suspended = deployed.start_run("asks/asks")
    deployed.until(lambda: deployed.state(suspended) == "Suspended")
    dead = deployed.start_run()
    stage = deployed.wait_for_stage()
    worker = [process for process in deployed.processes() if "prefect" in " ".join(process.cmdline())]
    for process in worker:
        process.kill()
    deployed.until(lambda: not psutil.pid_exists(stage))
    assert deployed.state(dead) == "Running"
    waiting = deployed.start_run()
    deployed.until(lambda: deployed.state(dead) == "Crashed")
    assert deployed.state(suspended) == "Suspended"

    stage = deployed.wait_for_stage()
    assert deployed.state(waiting) == "Running"
    ask(deployed.url, f"flow_runs/{waiting['id']}/set_state", state={"type": "CANCELLING"})
    deployed.until(lambda: deployed.state(waiting) == "Cancelled")
    assert not psutil.pid_exists(stage)
    assert not (deployed.folder / "end").exists()


def test_ctrl_c_ends_the_worker_and_the_runs(deployed: Deployed) -> None:
    deployed.start_run()
    stage = deployed.wait_for_stage()
    processes = deployed.processes()
    os.kill(deployed.process.pid, signal.SIGINT)
    assert deployed.process.wait() == 0
    assert [process for process in processes if process.is_running() and process.status() != "zombie"] == []
    assert not psutil.pid_exists(stage)
