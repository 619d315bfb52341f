"""The search for better params: `tidemill sweep SYSTEM`, by `systems.<name>.sweep` in params.yaml.

A killed sweep resumes when it is started again. Its result is a patch of params.yaml, for a person to accept.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.graph import Choice, PlanError, read_plan
from flows.limits import LimitError, of_this_machine
from flows.pipeline import train
from flows.stages import stage_environment
from tidemill.core.errors import TidemillError
from tidemill.core.files import finished_file, read_json
from tidemill.project.params import load_system, with_values
from tidemill.sweeping import params_patch, report, space, study
from tidemill.sweeping import runs as sweeps


@flow(name="sweep")
def sweep(system: str, jobs: int = 1) -> State[Any]:
    """Try settings of a system's `sweep` block, and write the best as `sweep-<system>.patch`.

    Args:
        system: a system of params.yaml with a `sweep` block.
        jobs: trials at once.
    """
    try:
        with _alone(system):
            return _sweep(system, jobs)
    except TidemillError as error:
        return Failed(message=str(error))


def _sweep(name: str, jobs: int) -> State[Any]:
    system = load_system(name)
    params = space.check(name, system.sweep, partial(with_values, name, system))
    made = train([f"tokenize@{name}"], return_state=True)
    if not made.is_completed():
        return made
    spec = read_json(Path("artifacts") / name / "tokenize" / "tokens.json")
    key = study.study_name(name, system.model_dump(mode="json"), spec)
    record = study.open_study(name, key, params)
    interrupted, log = study.requeue_interrupted(record), get_run_logger()
    done, planned = study.counted(record, *study.ENDED), study.planned(params)
    log.info(f"{key}: {done} of {planned} trials done" + (f", {interrupted} resumed" if interrupted else ""))
    run = sweeps.sweep_run(name, key, params.model_dump(mode="json", exclude_none=True))
    if done < planned and not _run_trials(name, key, run.id, min(jobs, planned - done)):
        return Failed(message="a process of the sweep failed; start it again to resume it")
    found, target = report.best(record, params), Path(f"sweep-{name}.patch")
    with finished_file(target) as partial_file:
        partial_file.write_text(params_patch.patch(name, found), encoding="utf-8")
    folder = study.FOLDER / key
    report.write(record, params, folder)
    (folder / target.name).write_bytes(target.read_bytes())
    sweeps.finish(run, {**found, params.metric: record.best_value}, folder)
    create_markdown_artifact(report.markdown(record, params, target), key="sweep")
    return Completed(message=f"{params.metric} {record.best_value:.5g} by {found}; to accept it: git apply {target}")


def _run_trials(name: str, key: str, run: str, jobs: int) -> bool:
    """Run the trials in processes; return whether all ended well. None is left, however this ends."""
    command = [sys.executable, "-m", "flows.trials", name, key, run, *_limits(name)]
    with _processes(command, jobs, stage_environment(jobs)) as processes:
        log = get_run_logger()
        readers = [threading.Thread(target=_pass_on, args=(process, log)) for process in processes]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        return all(process.wait() == 0 for process in processes)


def _limits(name: str) -> list[str]:
    """Return the machine's limits on the system's stage `train`, as `gpu=1`: each trial is such a training."""
    address = f"train@{name}"
    try:
        stage, machine = read_plan(Choice((address,), single_item=True))[address], of_this_machine()
    except (PlanError, LimitError) as error:
        raise TidemillError(str(error)) from error
    return [f"{limit}={machine[limit]}" for limit in stage.limits if limit in machine]


@contextmanager
def _processes(command: list[str], count: int, environment: dict[str, str]) -> Iterator[list[subprocess.Popen[str]]]:
    processes = [
        subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # Ctrl-C is the flow's to handle
        )
        for _ in range(count)
    ]
    try:
        yield processes
    finally:
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _pass_on(process: "subprocess.Popen[str]", log: Any) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        log.info(line.rstrip())


@contextmanager
def _alone(name: str) -> Iterator[None]:
    study.FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(study.FOLDER / f"{name}.lock", timeout=0):
            yield
    except Timeout as error:
        raise TidemillError(f"a sweep of {name} is running already") from error
