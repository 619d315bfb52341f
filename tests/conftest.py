"""Fixtures that several rooms share: repositories of small stages, proposed versions, a Prefect server."""

import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest

from tests.dvc_repositories import DvcRepository, quiet_environment
from tests.fault.faults import PAGE, outcomes, page, seen
from tests.postgresql import PostgreSQL, programs, running_postgresql
from tests.projects import ROOT, Project
from tests.unit.registry.proposals import as_it_was, proposed_project


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what writes the table of faults, and how many repositories and kills are tried."""
    parser.addoption("--faults-table", action="store_true", help="write docs/reference/faults.md from what was run")
    parser.addoption("--drawn", type=int, default=2, help="Repositories to draw for the flow beside `dvc repro`.")
    parser.addoption("--every-point", action="store_true", help="make the faults at every point, not at a sample")
    parser.addoption("--kills", type=int, default=1, help="Flows to kill, at as many points.")


REPORTS: dict[str, list[str]] = {}
"""Outcomes of tests in this session, by `file::function`."""


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep the outcome of each test, and of those that could not begin; here, since a folder's conftest hears of its own tests alone."""
    if report.when == "call" or report.outcome != "passed":
        REPORTS.setdefault(report.nodeid.removeprefix("tests/").partition("[")[0], []).append(report.outcome)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the table of faults where that was asked for; what was not run keeps what was seen before."""
    if session.config.getoption("--faults-table"):
        before = seen(PAGE.read_text(encoding="utf-8")) if PAGE.exists() else {}
        PAGE.write_text(page(before | outcomes(REPORTS)), encoding="utf-8")


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """Give Ctrl-C its usual meaning to all that tests start: a shell's background job hands down that it is ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def prefect_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the API of a Prefect server of its own, on a free port, with its own database."""
    with running_prefect(tmp_path_factory.mktemp("prefect-server")) as url:
        yield url


@contextmanager
def running_prefect(folder: Path, **settings: str) -> Iterator[str]:
    """Start a Prefect server that keeps its files in `folder`; give the address of its API."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    environment = quiet_environment(folder) | settings
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            command, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        _wait_for(f"http://127.0.0.1:{port}/api/health", server)
        yield f"http://127.0.0.1:{port}/api"
    finally:
        server.terminate()
        server.wait()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL server."""
    if (binaries := programs()) is None:
        pytest.skip("PostgreSQL's server is not installed here")
    with running_postgresql(binaries) as server:
        yield server


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A real one, without a window."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on this machine: `apt-get install chromium`")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield started
        started.close()


@pytest.fixture(scope="session")
def raw_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real raw data of two shipped systems, fetched as a user does; the user's download cache makes it quick."""
    return _fetched(tmp_path_factory.mktemp("data"), ["mnist", "reviews"])


@pytest.fixture(scope="session")
def all_raw_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All sources of the shipped params.yaml, fetched as `raw_data` is."""
    if shutil.which("apt-get") is None:
        pytest.skip("the novels come as a Debian package, and there is no apt-get here")
    return _fetched(tmp_path_factory.mktemp("all-data"))


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database without a run: made once, since its first tables take seconds, and copied."""
    from tidemill.tracking import store

    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.chdir(tmp_path_factory.mktemp("store"))
        store.connect()
        return store.store_folder() / "mlflow.db"


@pytest.fixture(scope="module")
def undecided(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """A project with two challengers, the second the better one, and no champion."""
    return proposed_project(tmp_path_factory.mktemp("proposed"), empty_store)


@pytest.fixture
def proposed(undecided: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The same as working folder, as it was before any decision."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(undecided)
    with as_it_was(undecided):
        yield undecided


@pytest.fixture
def new_project(tmp_path: Path) -> Callable[[], Project]:
    """Make a small project of real stages, in a folder of its own."""
    return lambda: Project(tmp_path / "project")


@pytest.fixture
def new_repository(tmp_path: Path) -> Callable[[str], DvcRepository]:
    """Make DVC repositories by name, each in its own folder, without any Prefect server configured."""
    environment = quiet_environment(tmp_path)
    return lambda name: DvcRepository(tmp_path / name, environment)


@pytest.fixture
def repository(new_repository: Callable[[str], DvcRepository], prefect_url: str) -> DvcRepository:
    """A DVC repository whose flows report to the session's Prefect server."""
    made = new_repository("repository")
    made.environment["PREFECT_API_URL"] = prefect_url
    return made


def _fetched(folder: Path, names: list[str] | None = None) -> Path:
    """Fetch sources of the shipped params.yaml, all of them if none is named; they are not added to any DVC cache."""
    from tidemill.project.params import load_project
    from tidemill.sources.fetch import fetch

    sources = load_project(ROOT / "params.yaml").sources
    fetch(sources, folder, names or list(sources))
    return folder


def _wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    while server.poll() is None:
        try:
            with urllib.request.urlopen(address):
                return
        except URLError:
            time.sleep(0.1)
    pytest.fail(f"the Prefect server ended with {server.returncode}")
