"""Projects that several faults hit."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fault.disturbances import Disk, mounted
from tests.fault.kills import ROOT
from tests.unit.registry.candidates import PARAMS, write_candidate


@pytest.fixture(autouse=True)
def _own_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="session")
def evaluated(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """A project whose one system is ready to be registered."""
    folder = tmp_path_factory.mktemp("evaluated")
    write_candidate(folder, "bars", PARAMS)
    store = folder / ".tidemill/mlflow"
    store.mkdir(parents=True)
    shutil.copyfile(empty_store, store / "mlflow.db")
    shutil.copytree(ROOT / "requirements", folder / "requirements")
    return folder


@pytest.fixture(scope="session")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    """A file system of a few megabytes."""
    with mounted(tmp_path_factory.mktemp("disk"), megabytes=24) as made:
        yield made


@pytest.fixture(scope="session")
def every(pytestconfig: pytest.Config) -> bool:
    """Whether faults hit at every point."""
    return bool(pytestconfig.getoption("--every-point"))
