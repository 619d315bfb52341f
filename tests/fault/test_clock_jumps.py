"""A clock that jumps back between a try that was killed and the next one."""

import shutil
from pathlib import Path

import pytest

from tests.fault.acts import PROMOTION, REGISTRATION
from tests.fault.disturbances import other_clock
from tests.fault.kills import Step, run_killed

CLIENT = "mlflow:MlflowClient"


def test_a_registration(evaluated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shutil.copytree(evaluated, tmp_path / "project"))
    run_killed(REGISTRATION.script, step=Step(CLIENT, "create_model_version", 1, "after"))
    REGISTRATION.succeed(**other_clock("-400d"))


def test_a_promotion(proposed: Path) -> None:
    run_killed(PROMOTION.script, *PROMOTION.arguments, step=Step(CLIENT, "log_param", 1, "after"))
    PROMOTION.succeed(**other_clock("-400d"))
