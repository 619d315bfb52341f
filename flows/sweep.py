"""Look for better params: `python flows/sweep.py SYSTEM`, by `systems.<name>.sweep` in params.yaml.

Killed, it goes on when it is started again. What it finds is a patch of params.yaml, for a person to accept.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a file, it knows its own folder only

from flows.train import PREFECT_DEFAULTS

os.environ.update({**PREFECT_DEFAULTS, **os.environ})

from filelock import FileLock, Timeout
from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.pipeline import train
from flows.stages import stage_environment
from tidemill.config import load_system
from tidemill.errors import TidemillError
from tidemill.files import finished_file, read_json
from tidemill.registry import sweeps
from tidemill.sweeping import patch, report, space, study

ROOT = Path(__file__).resolve().parents[1]


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
    params = space.check(name, system)
    made = train([f"tokenize@{name}"], return_state=True)
    if not made.is_completed():
        return made
    key = study.key(name, system, read_json(Path("artifacts") / name / "tokenize" / "tokens.json"))
    record = study.open_study(name, key, params)
    stopped, log = study.take_up(record), get_run_logger()
    done, planned = study.counted(record, *study.ENDED), study.planned(params)
    log.info(f"{key}: {done} of {planned} trials done" + (f", {stopped} taken up again" if stopped else ""))
    run = sweeps.sweep_run(name, key, params.model_dump(mode="json", exclude_none=True))
    if done < planned and not _run_trials(name, key, run.id, min(jobs, planned - done)):
        return Failed(message="a process of the sweep failed; started again, it goes on")
    found, target = report.best(record, params), Path(f"sweep-{name}.patch")
    with finished_file(target) as partial:
        partial.write_text(patch.patch(name, found), encoding="utf-8")
    folder = study.FOLDER / key
    report.write(record, params, folder)
    (folder / target.name).write_bytes(target.read_bytes())
    sweeps.finish(run, {**found, params.metric: record.best_value}, folder)
    create_markdown_artifact(report.markdown(record, params, target), key="sweep")
    return Completed(message=f"{params.metric} {record.best_value:.5g} by {found}; to accept it: git apply {target}")


def _run_trials(name: str, key: str, run: str, jobs: int) -> bool:
    """Whether all processes ended well. None is left, however this ends."""
    command = [sys.executable, "-m", "flows.trials", name, key, run]
    with _processes(command, jobs, stage_environment(jobs)) as processes:
        log = get_run_logger()
        readers = [threading.Thread(target=_pass_on, args=(process, log)) for process in processes]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        return all(process.wait() == 0 for process in processes)


@contextmanager
def _processes(command: list[str], count: int, environment: dict[str, str]) -> Iterator[list[subprocess.Popen[str]]]:
    paths = os.pathsep.join([str(ROOT), *filter(None, [environment.get("PYTHONPATH")])])
    processes = [
        subprocess.Popen(
            command,
            env=environment | {"PYTHONPATH": paths},
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


def main(
    system: Annotated[str, typer.Argument(help="A system of params.yaml with a `sweep` block.")],
    jobs: Annotated[int, typer.Option(min=1, help="Trials at once.")] = 1,
) -> None:
    """Try settings of a system's sweep block; the best becomes sweep-SYSTEM.patch."""
    state = sweep(system, jobs, return_state=True)
    sys.exit(f"error: {state.message}" if not state.is_completed() else None)


if __name__ == "__main__":
    typer.run(main)
