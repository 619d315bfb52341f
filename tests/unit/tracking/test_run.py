"""Each training has one run, which is resumed after a crash and holds each point once."""

import math
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow.entities import Run

from tidemill.core.errors import TidemillError
from tidemill.tracking import run as training_runs
from tidemill.tracking import store, tags
from tidemill.tracking.points import Point
from tidemill.tracking.run import training_run

KEY = "a" * 64


def stored(run_id: str) -> Run:
    return store.connect().get_run(run_id)


def test_a_temporary_experiment_logs_to_the_project_it_was_copied_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    copy = tmp_path / ".dvc" / "tmp" / "exps" / "standalone" / "tmp1a2b"
    copy.mkdir(parents=True)
    monkeypatch.chdir(copy)
    assert store.store_folder() == tmp_path / ".tidemill" / "mlflow"
    assert store.store_uri() == f"sqlite:///{tmp_path}/.tidemill/mlflow/mlflow.db"


def test_the_environment_names_another_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert store.store_uri() == "http://127.0.0.1:5000"


def test_two_processes_make_one_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    code = "from tidemill.tracking.store import connect, experiment_id as e; c = connect(); print(e(c, 'digits'))"
    started = [
        subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    ended = [process.communicate() for process in started]
    assert [process.returncode for process in started] == [0, 0], ended
    assert ended[0][0] == ended[1][0]
    assert sorted(path.name for path in (tmp_path / ".tidemill" / "mlflow").iterdir()) == ["mlflow.db", "mlflow.lock"]


def test_points_logged_again_are_kept_once(project: Path) -> None:
    points = [Point("train/loss", 1 / (1 + step), step, 1000 + step) for step in range(1500)]
    unknown = Point("val/loss", math.nan, 0, 1000)
    with training_run("digits", KEY, {}) as run:
        run.log([*points, unknown])
        run.log([*points[1400:], Point("train/loss", 0.5, 1500, 2500), unknown])
    history = store.connect().get_metric_history(run.id, "train/loss")
    assert [metric.step for metric in history] == list(range(1501))
    assert len(store.connect().get_metric_history(run.id, "val/loss")) == 1


def test_params_are_logged_by_dotted_path(project: Path) -> None:
    params = {"lr": 0.001, "schedule": {"name": "fixed", "warmup": None}, "hidden": [4, 2], "options": {}}
    with training_run("digits", KEY, params | {"long": "x" * 10_000}) as run:
        pass
    logged = stored(run.id).data.params
    assert len(logged.pop("long")) == training_runs.PARAM_LENGTH
    assert logged == {
        "lr": "0.001",
        "schedule.name": "fixed",
        "schedule.warmup": "null",
        "hidden": "[4, 2]",
        "options": "{}",
    }


def test_more_params_than_one_call_accepts(project: Path) -> None:
    with training_run("digits", KEY, {f"p{number}": number for number in range(250)}) as run:
        pass
    assert len(stored(run.id).data.params) == 250


def test_a_finished_run_says_so_and_which_weights_came_out(project: Path) -> None:
    with training_run("digits", KEY, {}) as run:
        run.tag_weights("b" * 64)
    found = stored(run.id)
    assert found.info.status == "FINISHED"
    assert found.data.tags[tags.WEIGHTS] == "b" * 64
    assert found.data.tags[tags.SYSTEM] == "digits"


def test_a_failed_training_resumes_its_run(project: Path) -> None:
    with pytest.raises(RuntimeError), training_run("digits", KEY, {"lr": 1}) as failed:
        raise RuntimeError("out of memory")
    assert stored(failed.id).info.status == "FAILED"
    with training_run("digits", KEY, {"lr": 1}) as run:
        assert stored(run.id).info.status == "RUNNING"
    assert run.id == failed.id
    assert stored(run.id).info.status == "FINISHED"


def test_a_killed_training_resumes_its_run(project: Path) -> None:
    code = (
        "import os, signal\nfrom tidemill.tracking.points import Point\nfrom tidemill.tracking.run import training_run\n"
        f"with training_run('digits', '{KEY}', {{}}) as run:\n"
        "    run.log([Point('train/loss', 1.0, 1, 5)]); print(run.id, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert killed.returncode == -9, killed.stderr
    assert stored(killed.stdout.strip()).info.status == "RUNNING"
    with training_run("digits", KEY, {}) as run:
        run.log([Point("train/loss", 1.0, 1, 5), Point("train/loss", 0.5, 2, 6)])
    assert run.id == killed.stdout.strip()
    assert len(store.connect().get_metric_history(run.id, "train/loss")) == 2


def test_training_again_what_is_finished_is_a_new_run_unless_a_checkpoint_is_left(project: Path) -> None:
    with training_run("digits", KEY, {}) as first:
        pass
    with training_run("digits", KEY, {}, resumed=True) as resumed:
        pass
    with training_run("digits", KEY, {}) as second:
        pass
    with training_run("digits", "c" * 64, {}, resumed=True) as other:
        pass
    assert resumed.id == first.id
    assert len({first.id, second.id, other.id}) == 3


def test_a_store_that_does_not_respond_is_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with (
        pytest.raises(TidemillError, match=r"MLflow's store http://127\.0\.0\.1:9 cannot be used"),
        training_run("d", KEY, {}),
    ):
        pass
