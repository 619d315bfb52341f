"""Training inside `dvc repro` that is killed, and resumes to the very same end."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fault.disturbances import flip
from tests.projects import DIGITS, Project, write_digits
from tidemill.core.files import sha256_file

TRAINING = {"epochs": 4, "batch": 16, "save_every": 7, "log_every": 3, "threads": 1}
"""374 steps of a network with dropout: where a kill falls in an epoch, the next step's noise depends on the last's."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = Project(tmp_path_factory.mktemp("killed") / "project")
    write_digits(made.folder / "raw/digits")
    made.params(digits=DIGITS | {"training": TRAINING})
    made.commit()
    made.run("dvc", "repro", "tokenize@digits")
    return made


@pytest.fixture(scope="module")
def uninterrupted(project: Project) -> dict[str, str]:
    """Hashes of what a training that nobody disturbs leaves."""
    project.run("dvc", "repro", "train@digits")
    return outputs(project)


def outputs(project: Project) -> dict[str, str]:
    files = ("model/model.safetensors", "model/config.json", "curves.csv", "metrics.json")
    return {file: sha256_file(project.artifact("digits", f"train/{file}")) for file in files}


def start_again(project: Project) -> subprocess.Popen[str]:
    """Start the training stage from nothing, as if it had never run."""
    script = "rm -rf artifacts/digits/train; exec dvc repro --force --single-item --no-run-cache train@digits"
    return subprocess.Popen(
        ["bash", "-c", script],
        cwd=project.folder,
        env=project.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def kill_when(project: Project, ready: Callable[[Path], bool], number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to the whole group of `dvc repro` as soon as the folder of checkpoints is ready for it."""
    process = start_again(project)
    folder = project.folder / ".tidemill/checkpoints/digits"
    while process.poll() is None and not ready(folder):
        time.sleep(0.002)
    assert process.poll() is None, f"it ended before it could be killed: {process.communicate()[0]}"
    os.killpg(process.pid, number)
    process.communicate()


def has_checkpoint(folder: Path) -> bool:
    return any(folder.glob("*/last.ckpt"))


def has_validated(folder: Path) -> bool:
    return any(folder.glob("*/best.safetensors"))


def is_writing(folder: Path) -> bool:
    return has_checkpoint(folder) and any(folder.glob("*/.last.ckpt.partial"))


def runs(project: Project) -> list[str]:
    program = (
        "from tidemill.tracking.store import connect, experiment_id; c = connect(); "
        "print(*(r.info.run_id + ' ' + r.info.status + ' ' + str(len(c.get_metric_history(r.info.run_id, 'train/loss')))"
        " for r in c.search_runs([experiment_id(c, 'digits')])), sep='\\n')"
    )
    return project.run("python", "-c", program).splitlines()


@pytest.mark.parametrize("ready", [has_checkpoint, has_validated, is_writing], ids=lambda ready: str(ready.__name__))
def test_a_killed_training_ends_in_the_same_weights_and_curve_in_the_same_run(
    project: Project, uninterrupted: dict[str, str], ready: Callable[[Path], bool]
) -> None:
    before = runs(project)
    kill_when(project, ready)
    assert not project.artifact("digits", "train/metrics.json").exists(), (
        "nothing half-made stands where outputs belong"
    )
    printed = project.run("dvc", "repro", "--single-item", "--no-run-cache", "--force", "train@digits")
    assert re.search(r"resumed from step [1-9]", printed), printed
    assert outputs(project) == uninterrupted
    after = runs(project)
    assert len(after) == len(before) + 1, "the resumed training logs to the run of the killed one"
    (mine,) = set(after) - set(before)
    points = len([line for line in project.artifact("digits", "train/curves.csv").open() if ",train/loss," in line])
    assert mine.split()[1:] == ["FINISHED", str(points)], "each point of the curve was logged once"
    assert not (project.folder / ".tidemill/checkpoints/digits").exists()


def test_the_same_training_twice_gives_the_same_files(project: Project, uninterrupted: dict[str, str]) -> None:
    project.run("dvc", "repro", "--single-item", "--no-run-cache", "--force", "train@digits")
    assert outputs(project) == uninterrupted


def test_a_flipped_byte_in_a_shard_and_in_the_weights(project: Project, uninterrupted: dict[str, str]) -> None:
    project.run("dvc", "repro", "train@digits")
    shard = max(project.artifact("digits", "tokenize/train").iterdir(), key=lambda path: path.stat().st_size)
    for stage, path in (("tokenize", shard), ("train", project.artifact("digits", "train/model/model.safetensors"))):
        flip(path, 0.5)
        changed = f"modified:           artifacts/digits/{stage}"  # DVC names the folder that is the output
        assert changed in project.run("dvc", "status", "tokenize@digits", "train@digits")
        project.run("dvc", "repro", "train@digits")
        assert outputs(project) == uninterrupted


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_training_ended_by_another_signal_resumes(
    project: Project, uninterrupted: dict[str, str], number: signal.Signals
) -> None:
    kill_when(project, has_checkpoint, number)
    printed = project.run("dvc", "repro", "--single-item", "--no-run-cache", "--force", "train@digits")
    assert "resumed from step" in printed
    assert outputs(project) == uninterrupted


def test_a_checkpoint_of_another_training_is_not_resumed(project: Project, uninterrupted: dict[str, str]) -> None:
    kill_when(project, has_checkpoint)
    project.params(digits=DIGITS | {"training": TRAINING | {"lr": 0.002}})
    printed = project.run("dvc", "repro", "--single-item", "--force", "train@digits")
    assert "resumed from step" not in printed
    assert outputs(project)["model/model.safetensors"] != uninterrupted["model/model.safetensors"]
