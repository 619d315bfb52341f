"""A sweep, killed with all that it started while a trial trains, started again, and its patch accepted."""

import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import psutil
import pytest
from filelock import FileLock

from tests.projects import DIGITS, Project, write_digits
from tidemill.project.params import load_system

SWEEP = {
    "space": {"training.lr": {"low": 1e-4, "high": 1e-1, "log": True}, "model.hidden": {"choices": [[16], [64]]}},
    "sampler": "swarm",
    "trials": 5,
    "metric": "val/accuracy",
    "direction": "maximize",
}


@pytest.mark.slow
def test_a_sweep_survives_a_kill(tmp_path: Path, prefect_url: str) -> None:
    project = Project(tmp_path / "project")
    write_digits(project.folder / "raw" / "digits")
    training = {**DIGITS["training"], "epochs": 2}
    project.params(digits={**DIGITS, "training": training, "sweep": SWEEP})
    dvc_yaml = project.folder / "dvc.yaml"
    text, train = dvc_yaml.read_text(encoding="utf-8"), "desc: Train the model"
    assert train in text
    dvc_yaml.write_text(text.replace(train, f"meta: {{limits: [gpu]}}\n      {train}", 1), encoding="utf-8")
    project.commit()
    project.environment["PREFECT_API_URL"] = prefect_url
    command = ("tidemill", "sweep", "digits", "--jobs", "2")
    _killed_after(project, command, trials=2)
    with _queued_experiment(project):
        said = _held_up(project, command)
    assert "of 5 trials done, " in said and " resumed" in said

    folder = next((project.folder / ".tidemill" / "sweeps").glob("digits-*"))
    table = pd.read_csv(folder / "trials.csv")
    assert len(table) == 5
    assert {path.name for path in folder.iterdir()} >= {"history.png", "slices.png", "sweep.html", "sweep-digits.patch"}
    _check_runs(project)
    again = project.start(*command)
    assert again.returncode == 0 and "5 of 5 trials done" in again.stderr

    project.run("git", "apply", "sweep-digits.patch")
    found = load_system("digits", project.folder / "params.yaml")
    assert found.training.lr == pytest.approx(table["training.lr"][0])
    assert str(found.model.hidden) == table["model.hidden"][0]


def _held_up(project: Project, command: tuple[str, ...]) -> str:
    """Run it to its end, while others hold both places of a limit until a trial has said that it waits."""
    folder = project.folder.parent / "limits"
    folder.mkdir()
    limits = {"TIDEMILL_LIMITS": "gpu=2", "TIDEMILL_LIMITS_FOLDER": str(folder)}
    places = [FileLock(folder / f"gpu.{number}.lock") for number in range(2)]
    for place in places:
        place.acquire()
    said, environment = "", project.environment | limits
    with subprocess.Popen(
        command, cwd=project.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout or ():
            said += line
            if "waiting: limit gpu" in line:
                for place in places:
                    place.release()
    assert process.returncode == 0, said
    assert not any(place.is_locked for place in places), "no trial has waited"
    return said


@contextmanager
def _queued_experiment(project: Project) -> Iterator[None]:
    """An experiment in DVC's own queue, worked off while the block runs."""
    project.run(
        "dvc", "exp", "run", "--queue", "--name", "queued", "-S", "systems.digits.training.lr=0.02", "train@digits"
    )
    project.run("dvc", "queue", "start")
    yield
    deadline = time.monotonic() + 120
    while "Running" in (told := project.run("dvc", "queue", "status")) or "Queued" in told:
        assert time.monotonic() < deadline, told
        time.sleep(1)
    assert "Success" in told
    assert "queued" in project.run("dvc", "exp", "list", "--name-only").split()


def _killed_after(project: Project, command: tuple[str, ...], trials: int) -> None:
    """Kill -9 the sweep and its processes once so many trials are done and another is under way."""
    process = psutil.Popen(command, cwd=project.folder, env=project.environment, stderr=-3, stdout=-3)
    deadline = time.monotonic() + 300
    while _states(project).count("RUNNING") < 1 or _states(project).count("COMPLETE") < trials:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    for child in [*process.children(recursive=True), process]:
        child.send_signal(signal.SIGKILL)
    process.wait()


def _states(project: Project) -> list[str]:
    database = project.folder / ".tidemill" / "sweeps" / "digits.db"
    try:
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as store:
            return [state for (state,) in store.execute("select state from trials")]
    except sqlite3.OperationalError:
        return []


def _check_runs(project: Project) -> None:
    """One run holds those of the trials, and the files."""
    with sqlite3.connect(project.folder / ".tidemill/mlflow/mlflow.db") as store:
        parents = store.execute("select run_uuid from tags where key = 'tidemill.sweep'").fetchall()
        nested = store.execute("select value from tags where key = 'mlflow.parentRunId'").fetchall()
        states = store.execute("select status from runs").fetchall()
    assert len(parents) == 1 and set(nested) == set(parents)
    assert 5 <= len(nested) <= 7
    assert ("FINISHED",) in states
    assert next(project.folder.glob(f".tidemill/mlflow/artifacts/digits/{parents[0][0]}/artifacts/sweep.html"))
