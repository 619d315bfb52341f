"""The train flow with its stages in the processes of a Dask cluster, chosen by settings alone."""

import json
import os
import signal

import psutil
import pytest
import yaml

from tests.dvc_repositories import DvcRepository
from tests.fault.stubborn import assert_ended_with_its_flow, stubborn, wait_for

CLUSTER = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "security": True}
DASK = {
    "TIDEMILL_TASK_RUNNER": "prefect_dask.DaskTaskRunner",
    "TIDEMILL_TASK_RUNNER_OPTIONS": json.dumps({"cluster_kwargs": CLUSTER}),
    "DASK_LOGGING__DISTRIBUTED": "warning",
}
TREE = "import os, psutil; print(*[process.pid for process in psutil.Process().parents()])"


@pytest.fixture
def on_dask(repository: DvcRepository) -> DvcRepository:
    repository.environment |= DASK
    return repository


def test_stages_run_in_the_clusters_processes_at_the_same_time(on_dask: DvcRepository) -> None:
    """Each of two stages waits for a file that the other makes; DVC's records stand as if they had come one by one."""
    meet = f"python -c '{TREE}' > tree.{{0}}; while [ ! -e tree.{{1}} ]; do sleep 0.05; done; echo met > met.{{0}}"
    stages = {one: {"cmd": meet.format(one, two), "outs": [f"met.{one}"]} for one, two in ("ab", "ba")}
    after = {"cmd": "cat met.a met.b > end", "deps": ["met.a", "met.b"], "outs": ["end"]}
    on_dask.stages(**stages, after=after, other={"cmd": "echo corn > other", "outs": ["other"]})
    with on_dask.start_flow("--jobs", "4") as flow:
        text, _ = flow.communicate()
    assert flow.returncode == 0, text
    assert on_dask.read("end") == "met\nmet\n"
    trees = [list(map(int, on_dask.read(f"tree.{name}").split())) for name in "ab"]
    assert len({started_by(flow.pid, tree) for tree in trees}) == CLUSTER["n_workers"]
    assert list(yaml.safe_load(on_dask.read("dvc.lock"))["stages"]) == ["a", "b", "after", "other"]
    assert "up to date" in on_dask.repro()
    assert not list((on_dask.folder / ".dvc" / "tmp").glob("flow-*"))


def started_by(flow: int, tree: list[int]) -> int:
    """The worker of the cluster: of a stage's processes, upwards, the one below the flow's."""
    return tree[tree.index(flow) - 1]


def test_a_failure_and_a_kill_are_reported_as_without_dask(on_dask: DvcRepository) -> None:
    once = "if [ ! -e tried ]; then touch tried; kill -9 $$; fi; echo yes > end"
    failing = {"cmd": "echo x >> count; echo the corn is wet >&2; exit 1", "outs": ["never"]}
    on_dask.stages(killed={"cmd": once, "outs": ["end"]}, failed=failing)
    run = on_dask.flow("--keep-going")
    assert run.returncode == 1
    assert (on_dask.read("end"), on_dask.read("count")) == ("yes\n", "x\n")
    assert "failed  " in run.stdout
    assert "| failed | the corn is wet" in run.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_ending_the_flow_ends_its_stages(on_dask: DvcRepository, number: signal.Signals) -> None:
    assert_ended_with_its_flow(stubborn(on_dask), number)


def test_a_worker_that_is_killed_is_replaced_and_its_stage_done_again(on_dask: DvcRepository) -> None:
    flow = stubborn(on_dask).start_flow()
    wait_for(on_dask.folder / "child", flow)
    on_dask.write("go", "")
    child = psutil.Process(int(on_dask.read("child")))
    os.kill(started_by(flow.pid, [process.pid for process in child.parents()]), signal.SIGKILL)
    text, _ = flow.communicate()
    assert flow.returncode == 0, text
    assert on_dask.read("end") == "whole\n"


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"TIDEMILL_TASK_RUNNER": "prefect_dusk.DaskTaskRunner"}, "prefect_dusk.DaskTaskRunner cannot be imported"),
        ({"TIDEMILL_TASK_RUNNER": "json.JSONDecoder"}, "json.JSONDecoder is no task runner of Prefect's"),
        ({"TIDEMILL_TASK_RUNNER_OPTIONS": "{"}, "prefect_dask.DaskTaskRunner cannot be made of it"),
        ({"TIDEMILL_TASK_RUNNER_OPTIONS": '{"addres": "x"}'}, "unexpected keyword argument 'addres'"),
        ({"PREFECT_API_URL": ""}, "need a Prefect server: set PREFECT_API_URL"),
    ],
)
def test_settings_that_name_no_task_runner(on_dask: DvcRepository, settings: dict[str, str], error: str) -> None:
    on_dask.stages(one={"cmd": "echo end > end", "outs": ["end"]})
    run = on_dask.flow(**settings)
    assert run.returncode == 1
    [line] = run.stdout.splitlines()
    assert line.startswith("error: ")
    assert error in line
