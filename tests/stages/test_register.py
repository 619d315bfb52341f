"""The register stage as DVC runs it: a model goes in, a version and `registration.json` come out, or one clear line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.registry.candidates import PARAMS, write_candidate
from tests.unit.registry.proposals import crown
from tidemill.core.files import read_json
from tidemill.registry import registration

REPOSITORY = Path(__file__).parents[2]
CODE = os.pathsep.join([str(REPOSITORY / "src"), str(REPOSITORY)])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the outputs of the stages before `register`."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "requirements").symlink_to(REPOSITORY / "requirements")
    write_candidate(folder, "bars", PARAMS)
    return folder


def run_stage(project: Path, system: str) -> subprocess.CompletedProcess[str]:
    settings = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW", "PREFECT"))}
    command = [sys.executable, "-m", "pipelines.register", system]
    return subprocess.run(
        command,
        cwd=project,
        env=settings | {"PYTHONPATH": CODE},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_version_and_its_registration(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run_stage(project, "bars")
    assert first.returncode == 0, first.stderr
    assert "bars: version 1 is the challenger" in first.stdout
    assert "passed: accuracy is 0.3333, at least 0.1" in first.stdout
    document = project / "artifacts/bars/register/registration.json"
    written = document.read_bytes()
    assert read_json(document)["version"] == "1"
    assert run_stage(project, "bars").returncode == 0
    assert document.read_bytes() == written
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(project)
    assert registration.is_registered("bars", document)


def test_a_metric_of_its_own_module_is_one_to_beat_the_champion_by(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(project)
    crown("bars", "1")
    (project / "params.yaml").write_text(PARAMS.replace("gates: {", "gates: {metric: matthews, "))
    done = run_stage(project, "bars")
    assert done.returncode == 0, done.stderr
    assert "passed: matthews differs by +0.0000 [+0.0000, +0.0000] from the champion, version 1" in done.stdout


def test_a_candidate_that_fails_its_gates_is_no_failed_stage(project: Path) -> None:
    (project / "params.yaml").write_text(PARAMS.replace("accuracy: 0.1", "accuracy: 0.98"))
    done = run_stage(project, "bars")
    assert done.returncode == 0, done.stderr
    assert "bars: version 1 did not pass its gates" in done.stdout
    assert "NOT PASSED: accuracy is 0.3333, below the lowest allowed 0.98" in done.stdout


def test_a_mistake_is_one_line(project: Path) -> None:
    (project / "params.yaml").write_text(PARAMS.replace("accuracy: 0.1", "acuracy: 0.1"))
    done = run_stage(project, "bars")
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["bars: gates: no metric 'acuracy' in evaluation.json; did you mean 'accuracy'?"]


def test_a_stage_that_was_not_run_is_named(project: Path) -> None:
    (project / "params.yaml").write_text(PARAMS.replace("bars:", "stripes:"))
    done = run_stage(project, "stripes")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "artifacts/stripes/evaluate/evaluation.json" in done.stderr
