"""The commands around the pipeline: what they check first, and which repositories they leave alone."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.dvc_repositories import DvcRepository
from tests.unit.registry.candidates import PARAMS

TIDEMILL = str(Path(sys.executable).with_name("tidemill"))
CHECK = {"cmd": "python -m pipelines.check", "deps": ["params.yaml"], "outs": ["checked"]}
OTHER = {"cmd": "echo x > other", "outs": ["other"]}
MISSPELT = PARAMS.replace("thresholds:", "thresholdz:")


@pytest.fixture
def other(new_repository: Callable[[str], DvcRepository]) -> DvcRepository:
    """Another DVC repository than ours."""
    return new_repository("other")


def tidemill(repository: DvcRepository, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [TIDEMILL, *arguments]
    return subprocess.run(
        command, cwd=repository.folder, env=repository.environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "stages",
    [{"other": OTHER}, {"check": {"cmd": "make check", "outs": ["checked"]}}],
    ids=["no check", "a check of its own"],
)
@pytest.mark.parametrize("params", ["subsystems: {a: 1}\n", "systems: [1, 2]\n", MISSPELT], ids=["sub", "list", "ours"])
def test_another_repository_is_left_alone(other: DvcRepository, stages: dict[str, object], params: str) -> None:
    other.write("params.yaml", params)
    other.stages(**stages)  # type: ignore[arg-type]
    done = tidemill(other, "status")
    assert done.returncode == 0, done.stderr
    assert "never run" in done.stdout


@pytest.mark.parametrize("key", ["systems:", '"systems":', "'systems' :"])
@pytest.mark.parametrize("command", ["run", "status"])
def test_a_mistake_in_params_is_named_before_any_work(other: DvcRepository, command: str, key: str) -> None:
    other.write("params.yaml", MISSPELT.replace("systems:", key))
    other.stages(check=CHECK, other=OTHER)
    done = tidemill(other, command)
    assert done.returncode == 1
    assert done.stderr == "error: params.yaml: systems.bars.gates: no 'thresholdz'; did you mean 'thresholds'?\n"
    assert not (other.folder / "other").exists()


def test_check_names_mistakes_and_says_where_there_is_none(other: DvcRepository) -> None:
    other.write("params.yaml", MISSPELT)
    done = tidemill(other, "check")
    assert done.returncode == 1 and "did you mean 'thresholds'?" in done.stderr
    other.write("params.yaml", PARAMS)
    done = tidemill(other, "check")
    assert (done.returncode, done.stdout) == (0, "params.yaml: no mistake; systems: bars\n")


def test_a_limit_that_is_none_is_a_usage_error(other: DvcRepository) -> None:
    other.stages(other=OTHER)
    done = tidemill(other, "run", "--limit", "gpu")
    assert done.returncode == 2 and "is not NAME=N" in done.stderr
