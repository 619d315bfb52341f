"""What a flow leaves behind when it, a stage or a lock is in trouble: no process, no lock, no half-made output."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from tests.conftest import running_prefect
from tests.dvc_repositories import DVC, DvcRepository
from tests.fault.stubborn import (
    assert_clean_and_able_to_go_on,
    assert_ended_with_its_flow,
    stubborn,
    wait_for,
    wait_until_gone,
)

NewRepository = Callable[[str], DvcRepository]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_ending_the_flow_ends_its_stages(repository: DvcRepository, prefect_url: str, number: signal.Signals) -> None:
    assert_ended_with_its_flow(stubborn(repository), number)
    assert not list((repository.folder / ".dvc" / "tmp").glob("flow-*"))  # of the killed one neither
    if number != signal.SIGKILL:
        assert "CANCELLED" in last_states(prefect_url, 2)  # the last run is the one that went on


def last_states(url: str, count: int) -> list[str]:
    """The states of the runs that began last; those that another test's deployment has scheduled have not begun."""
    begun = {"flow_runs": {"start_time": {"is_null_": False}}, "sort": "START_TIME_DESC", "limit": count}
    runs = ask(f"{url}/flow_runs/filter", begun)
    return [run["state"]["type"] for run in runs]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ending_a_flow_without_a_server(new_repository: NewRepository, number: signal.Signals) -> None:
    """As a terminal does on Ctrl-C, all processes of the flow's group are told, a temporary server among them."""
    repository = stubborn(new_repository("repository"))
    flow = repository.start_flow(start_new_session=True)
    wait_for(repository.folder / "child", flow)
    child = int(repository.read("child"))
    os.killpg(flow.pid, number)
    text, _ = flow.communicate()
    assert flow.returncode == 130, text
    wait_until_gone(child)
    assert_clean_and_able_to_go_on(repository)
    home = repository.environment["PREFECT_HOME"]
    assert not [
        one for one in psutil.process_iter(["environ"]) if (one.info["environ"] or {}).get("PREFECT_HOME") == home
    ]


def test_cancelling_on_the_page(repository: DvcRepository, prefect_url: str) -> None:
    flow = stubborn(repository).start_flow()
    wait_for(repository.folder / "child", flow)
    child = int(repository.read("child"))
    running = {"flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}}, "sort": "START_TIME_DESC"}
    run = ask(f"{prefect_url}/flow_runs/filter", running)[0]  # one that was killed before stands as running too
    ask(f"{prefect_url}/flow_runs/{run['id']}/set_state", {"state": {"type": "CANCELLING"}})
    text, _ = flow.communicate()
    assert flow.returncode == 130, text
    wait_until_gone(child)
    (after,) = ask(f"{prefect_url}/flow_runs/filter", {"flow_runs": {"id": {"any_": [run["id"]]}}})
    assert after["state"]["type"] == "CANCELLED"
    assert_clean_and_able_to_go_on(repository)


def ask(url: str, body: object) -> list[dict[str, Any]]:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as response:
        answer: list[dict[str, Any]] = json.load(response)
        return answer


def test_a_stage_whose_processes_are_killed_is_done_again(repository: DvcRepository) -> None:
    flow = stubborn(repository).start_flow()
    wait_for(repository.folder / "child", flow)
    repository.write("go", "")
    group = os.getpgid(int(repository.read("child")))
    os.killpg(group, signal.SIGKILL)
    text, _ = flow.communicate()
    assert flow.returncode == 0, text
    assert repository.read("end") == "whole\n"


@pytest.mark.parametrize("victim", ["the process of the stage", "the shell of its command"])
def test_nothing_of_a_killed_stage_runs_on_beside_its_retry(repository: DvcRepository, victim: str) -> None:
    """The command of the first try writes for as long as it lives; the second is to find itself alone."""
    script = """
if [ -e tried ]; then sleep 1; rm -f alive; sleep 1; [ ! -e alive ] && echo alone > end; exit; fi
touch tried
(while true; do touch alive; sleep 0.1; done) &
echo $$ > shell.new && mv shell.new shell
wait
"""
    repository.write("script", script)
    repository.stages(one={"cmd": "sh script", "deps": ["script"], "outs": ["end"]})
    flow = repository.start_flow()
    wait_for(repository.folder / "shell", flow)
    shell = int(repository.read("shell"))
    os.kill(os.getsid(shell) if victim == "the process of the stage" else shell, signal.SIGKILL)
    text, _ = flow.communicate()
    assert flow.returncode == 0, text
    assert repository.read("end") == "alone\n"


def test_the_lock_of_another_process_is_waited_for(repository: DvcRepository) -> None:
    """Longer than the three seconds after which DVC itself gives up."""
    stubborn(repository).write("go", "")
    hold = "from dvc.repo import Repo; import time\nwith Repo().lock: open('held', 'w'); time.sleep(5)"
    with subprocess.Popen([sys.executable, "-c", hold], cwd=repository.folder, text=True) as holder:
        wait_for(repository.folder / "held", holder)
        run = repository.flow()
    assert run.returncode == 0, run.stdout


def test_a_stage_that_another_process_runs_is_waited_for(repository: DvcRepository) -> None:
    stubborn(repository)
    command = [str(DVC), "repro"]
    with subprocess.Popen(command, cwd=repository.folder, env=repository.environment, text=True) as other:
        wait_for(repository.folder / "child", other)
        flow = repository.start_flow()
        waiting = any("waiting: " in line for line in flow.stdout or ())
        os.kill(int(repository.read("child")), signal.SIGTERM)
    assert waiting
    text, _ = flow.communicate()
    assert flow.returncode == 0, text
    assert "cached" in text


def test_the_server_is_killed_and_the_next_run_goes_on(new_repository: NewRepository, tmp_path: Path) -> None:
    repository = new_repository("repository")
    repository.stages(
        waits={
            "cmd": "echo run >> runs; touch started; while [ ! -e go ]; do sleep 0.1; done; echo end > end",
            "outs": ["end"],
        },
        follows={"cmd": "cat end > last", "deps": ["end"], "outs": ["last"]},
    )
    repository.environment["PREFECT_CLIENT_MAX_RETRIES"] = "1"
    with running_prefect(tmp_path) as url, repository.start_flow(PREFECT_API_URL=url) as flow:
        wait_for(repository.folder / "started", flow)
        os.killpg(server_of(url).pid, signal.SIGKILL)
        repository.write("go", "")
        said, _ = flow.communicate()
    assert flow.returncode == 1
    assert "error: Prefect's server does not respond any more; what the stages have made is kept" in said

    assert repository.flow().returncode == 0
    assert repository.read("last") == "end\n"
    assert repository.read("runs") == "run\n"  # what had ended was not done again
    assert "up to date" in repository.repro()


def server_of(url: str) -> psutil.Process:
    """The process that was started to serve an address."""
    port = str(urlsplit(url).port)
    return next(one for one in psutil.process_iter(["cmdline"]) if {"prefect", port} <= set(one.info["cmdline"] or []))
