"""A stage that does not end by itself, and what a flow that is ended must leave of it: nothing."""

import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.dvc_repositories import DVC, DvcRepository

STUBBORN = """
trap 'exit 0' TERM INT   # claims to have ended well
if [ -e go ]; then echo whole > end; exit; fi
echo half > end
sleep 1000 &
echo $! > child.new && mv child.new child
wait
"""
"""A stage that, until a file `go` is there, makes half an output and waits for a process it started."""


def stubborn(repository: DvcRepository) -> DvcRepository:
    repository.write("script", STUBBORN)
    repository.stages(stubborn={"cmd": "sh script", "deps": ["script"], "outs": ["end"]})
    return repository


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    while not path.exists():
        if process.poll() is not None:
            pytest.fail(process.communicate()[0])
        time.sleep(0.05)


def wait_until_gone(pid: int) -> None:
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.05)


def assert_clean_and_able_to_go_on(repository: DvcRepository) -> None:
    """Without waiting for any lock DVC finds the stage not done; the next run does it."""
    assert "stubborn" in repository.command(str(DVC), "status")
    assert not (repository.folder / "dvc.lock").exists()
    repository.write("go", "")
    run = repository.flow()
    assert run.returncode == 0, run.stdout
    assert repository.read("end") == "whole\n"
    assert "up to date" in repository.repro()


def assert_ended_with_its_flow(repository: DvcRepository, number: signal.Signals) -> None:
    """Start the flow, send it the signal while the stage is at work, and check what is left."""
    flow = repository.start_flow()
    wait_for(repository.folder / "child", flow)
    child = int(repository.read("child"))
    stage = os.getsid(child)  # the process that runs DVC on the stage; a flow that is killed cannot wait for its end
    flow.send_signal(number)
    text, _ = flow.communicate()
    assert flow.returncode == (-signal.SIGKILL if number == signal.SIGKILL else 130), text
    wait_until_gone(child)
    wait_until_gone(stage)
    assert_clean_and_able_to_go_on(repository)
