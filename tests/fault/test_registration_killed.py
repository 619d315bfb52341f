"""A registration that is ended between any two steps leaves nothing that another call does not finish."""

import shutil
import signal
from pathlib import Path

import pytest

from tests.fault.acts import REGISTRATION
from tests.fault.kills import Step, run_killed

CLIENT, STATEMENT = "mlflow:MlflowClient", "tidemill.registry.statement"
STEPS = [
    Step(CLIENT, "create_experiment", 1, "after"),
    Step(CLIENT, "create_run", 1, "after"),
    Step(CLIENT, "set_terminated", 1, "before"),
    Step(CLIENT, "log_inputs", 1, "before"),
    Step(CLIENT, "log_artifacts", 1, "before"),
    Step(CLIENT, "log_artifacts", 1, "after"),
    Step(CLIENT, "create_registered_model", 1, "after"),
    Step(CLIENT, "create_model_version", 1, "after"),
    Step(STATEMENT, "write", 1, "before"),
    Step(CLIENT, "set_model_version_tag", 1, "after"),
    Step(CLIENT, "set_model_version_tag", 3, "after"),
    Step(CLIENT, "update_model_version", 1, "after"),
    Step(CLIENT, "set_registered_model_alias", 1, "after"),
]


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_killed_between_two_steps(evaluated: Path, tmp_path: Path, step: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shutil.copytree(evaluated, tmp_path / "project"))
    run_killed(REGISTRATION.script, step=step)
    REGISTRATION.succeed()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ended_by_another_signal(
    evaluated: Path, tmp_path: Path, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shutil.copytree(evaluated, tmp_path / "project"))
    run_killed(REGISTRATION.script, step=Step(CLIENT, "create_model_version", 1, "after"), number=number)
    REGISTRATION.succeed()
