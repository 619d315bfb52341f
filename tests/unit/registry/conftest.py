"""A project folder with its own MLflow store."""

import shutil
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
OUTER = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "PREFECT__FLOW_RUN_ID", "TIDEMILL_FLOW_RUN_ID", "DVC_EXP_NAME")


@pytest.fixture
def project(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: a project with locked requirements and an empty store."""
    for name in OUTER:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "requirements").symlink_to(REPOSITORY / "requirements")
    folder = tmp_path / ".tidemill" / "mlflow"
    folder.mkdir(parents=True)
    shutil.copyfile(empty_store, folder / "mlflow.db")
    return tmp_path
