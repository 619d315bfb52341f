"""A tracking server or a PostgreSQL store that is lost, slow, restarted, or whose connection is cut while it is sent to."""

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from tests.fault.acts import PROMOTION, REGISTRATION, Act
from tests.fault.disturbances import Wire
from tests.postgresql import PostgreSQL
from tests.unit.registry.proposals import proposed_project

IMPATIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
"""By default MLflow tries a lost server for minutes."""
SENT = (40_000,)
"""Bytes that come through before the connection is cut: this falls into a registration's upload."""
EVERY_SENT = tuple(range(1_000, 200_000, 2_000))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Cut at a few points, or at many with `--every-point`."""
    if "sent" in metafunc.fixturenames:
        metafunc.parametrize("sent", EVERY_SENT if metafunc.config.getoption("--every-point") else SENT)


class TrackingServer:
    """MLflow's server with a store of its own, behind a wire."""

    def __init__(self, folder: Path, store: Path) -> None:
        self.folder, self.empty = folder, store
        shutil.copyfile(store, folder / "mlflow.db")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.start()
        self.wire = Wire(self.port)
        self.address = f"http://127.0.0.1:{self.wire.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db"]
        self.process = subprocess.Popen(
            [*command, "--artifacts-destination", str(self.folder / "artifacts")],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        while True:
            assert self.process.poll() is None
            try:
                with urlopen(f"http://127.0.0.1:{self.port}/health"):
                    return
            except OSError:
                time.sleep(0.2)

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def has_run(self) -> bool:
        """Whether a run has been created."""
        with closing(sqlite3.connect(self.folder / "mlflow.db")) as database:
            return bool(database.execute("SELECT count(*) FROM runs").fetchone()[0])

    def empty_store(self) -> None:
        """Forget everything, while the server runs."""
        with closing(sqlite3.connect(self.empty)) as old, closing(sqlite3.connect(self.folder / "mlflow.db")) as new:
            old.backup(new)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[TrackingServer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
        started = TrackingServer(tmp_path_factory.mktemp("server"), empty_store)
    yield started
    started.wire.close()
    started.process.terminate()
    started.process.wait()


@pytest.fixture
def tracked(
    server: TrackingServer, evaluated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TrackingServer]:
    """A project that is ready to be registered at the server."""
    monkeypatch.chdir(shutil.copytree(evaluated, tmp_path / "project"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.address)
    for name, value in IMPATIENT.items():
        monkeypatch.setenv(name, value)
    yield server
    server.wire.mend()
    server.empty_store()


@pytest.mark.nightly
def test_the_tracking_server_is_lost(tracked: TrackingServer) -> None:
    tracked.wire.cut_after(0)
    assert REGISTRATION.fail_in_one_line()
    tracked.wire.mend()
    REGISTRATION.succeed()


def test_the_connection_to_the_tracking_server_is_cut(tracked: TrackingServer, sent: int) -> None:
    tracked.wire.cut_after(sent)
    assert REGISTRATION.fail_in_one_line()
    tracked.wire.mend()
    REGISTRATION.succeed()


@pytest.mark.nightly
def test_the_tracking_server_is_killed_and_started_again(tracked: TrackingServer) -> None:
    with REGISTRATION.start() as registration:
        while not tracked.has_run() and registration.poll() is None:
            time.sleep(0.05)
        tracked.kill()
        _, errors = registration.communicate()
    assert registration.returncode == 1 and "Traceback" not in errors, errors
    tracked.start()
    REGISTRATION.succeed()


@pytest.mark.nightly
def test_the_tracking_server_is_slow(tracked: TrackingServer) -> None:
    tracked.wire.delay = 0.2
    REGISTRATION.succeed()


@pytest.fixture(scope="module")
def wire(postgresql: PostgreSQL) -> Iterator[Wire]:
    made = Wire(urlsplit(postgresql.address).port or 0)
    yield made
    made.close()


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, postgresql: PostgreSQL, wire: Wire) -> tuple[Path, str]:
    """A project with two challengers whose store is PostgreSQL, and the store's address by the wire."""
    store = postgresql.new_database("fault").replace(f":{urlsplit(postgresql.address).port}/", f":{wire.port}/")
    return proposed_project(tmp_path_factory.mktemp("kept"), store), store


@pytest.fixture
def promotion(kept: tuple[Path, str], wire: Wire, monkeypatch: pytest.MonkeyPatch) -> Iterator[Act]:
    folder, store = kept
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    yield PROMOTION
    wire.mend()


@pytest.mark.nightly
def test_postgresql_is_lost_cut_and_slow(promotion: Act, wire: Wire) -> None:
    """One decision, disturbed again and again: what has been written of it stands, and the next try adds the rest."""
    for sent in (0, 1_000, 6_000, 12_000):
        wire.cut_after(sent)
        promotion.fail_in_one_line()
        wire.mend()
    wire.delay = 0.02
    promotion.succeed()
