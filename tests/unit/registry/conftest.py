"""A project folder with its own MLflow store: made once, since its first tables take seconds, and copied."""

import shutil
from pathlib import Path

import pytest

from tidemill.registry import tracking

REPOSITORY = Path(__file__).parents[3]
OUTER = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "PREFECT__FLOW_RUN_ID", "TIDEMILL_FLOW_RUN_ID", "DVC_EXP_NAME")


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database without a run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.chdir(tmp_path_factory.mktemp("store"))
        tracking.connect()
        return tracking.store_folder() / "mlflow.db"


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
