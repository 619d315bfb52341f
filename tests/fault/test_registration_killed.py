"""A registration that is killed between any two steps leaves nothing that another call does not finish."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fault.kills import PATHS, ROOT, Step, run_killed
from tests.unit.registry.candidates import PARAMS, write_candidate
from tidemill.registry import statement
from tidemill.tracking import store, tags

CLIENT, STATEMENT = "mlflow:MlflowClient", "tidemill.registry.statement"
REGISTER = """
from pathlib import Path
from tidemill.core.params import read_system
from tidemill.registry.registration import register
print(register("bars", read_system("bars"), Path("artifacts/bars"))["alias"])
"""
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


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """A project whose one system is ready to be registered."""
    folder = tmp_path_factory.mktemp("evaluated")
    write_candidate(folder, "bars", PARAMS)
    store = folder / ".tidemill/mlflow"
    store.mkdir(parents=True)
    shutil.copyfile(empty_store, store / "mlflow.db")
    shutil.copytree(ROOT / "requirements", folder / "requirements")
    return folder


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_killed_between_two_steps(evaluated: Path, tmp_path: Path, step: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(shutil.copytree(evaluated, tmp_path / "project"))
    run_killed(REGISTER, step=step)

    environment = os.environ | {"PYTHONPATH": PATHS}
    again = subprocess.run([sys.executable, "-c", REGISTER], env=environment, capture_output=True, text=True)
    assert again.stdout.splitlines()[-1:] == ["challenger"], again.stderr
    client = store.connect()
    (version,) = client.search_model_versions("name = 'bars'")
    assert client.get_registered_model("bars").aliases == {"challenger": version.version}
    stated = statement.of(version)
    assert stated is not None and statement.rewritten(version, stated) == []
    assert version.tags["tidemill.passed"] == "true" and "accuracy" in version.description
    (run,) = client.search_runs([client.get_experiment_by_name("bars").experiment_id])
    assert version.run_id == run.info.run_id and run.info.status == "FINISHED"
    assert {made.dataset.name for made in run.inputs.dataset_inputs} == {"bars/train", "bars/test"}
    stored = client.download_artifacts(run.info.run_id, version.tags[tags.FOLDER], str(tmp_path / "stored"))
    assert {"lineage.json", "report.html", "model"} <= {path.name for path in Path(stored).iterdir()}
