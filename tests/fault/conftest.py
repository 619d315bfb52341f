"""Projects that several faults hit."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fault.disturbances import Disk, mounted
from tests.fault.faults import PAGE, outcomes, page, seen
from tests.fault.kills import ROOT
from tests.unit.registry.candidates import PARAMS, write_candidate

REPORTS: dict[str, list[str]] = {}
"""Outcomes of tests in this session, by `file::function`."""


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep the outcome of each test, and of those that could not begin."""
    if report.when == "call" or report.outcome != "passed":
        REPORTS.setdefault(report.nodeid.removeprefix("tests/").partition("[")[0], []).append(report.outcome)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the table of faults where that was asked for; what was not run keeps what was seen before."""
    if session.config.getoption("--faults-table"):
        before = seen(PAGE.read_text(encoding="utf-8")) if PAGE.exists() else {}
        PAGE.write_text(page(before | outcomes(REPORTS)), encoding="utf-8")


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
