"""A real server with passwords: a trainer registers and cannot set `champion`, a reviewer can."""

import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tidemill.registry.identity import identity

PEOPLE = {name: secrets.token_urlsafe(16) for name in ("admin", "trainer", "reviewer")}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address, once it answers."""
    folder = tmp_path_factory.mktemp("server")
    if request.param == "sqlite":
        store, people = f"sqlite:///{folder}/mlflow.db", f"sqlite:///{folder}/auth.db"
    else:
        database = request.getfixturevalue("postgresql")
        store, people = database.new_database("guarded"), database.new_database("people")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (folder / "auth.ini").write_text(
        f"[mlflow]\ndefault_permission = READ\nadmin_username = admin\ndatabase_uri = {people}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    settings = {
        **{name: value for name, value in os.environ.items() if not name.startswith("MLFLOW")},
        "MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"),
        "MLFLOW_AUTH_ADMIN_PASSWORD": PEOPLE["admin"],
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(16),
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    command = [sys.executable, "-m", "mlflow", "server", "--app-name", "tidemill-guarded", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "1", "--backend-store-uri", store]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(command, cwd=folder, env=settings, stdout=log, stderr=log, start_new_session=True) as process,
    ):
        try:
            _wait(f"http://127.0.0.1:{port}/health", process, folder / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(process.pid, 15)


def _wait(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(240):
        try:
            urllib.request.urlopen(address, timeout=2)
            return
        except OSError:
            assert process.poll() is None, log.read_text()
            time.sleep(0.5)
    raise AssertionError(log.read_text())


def test_only_a_reviewer_moves_the_champion(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from mlflow.server import get_app_client

    def become(name: str) -> MlflowClient:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", name)
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PEOPLE[name])
        return MlflowClient(server)

    admin = become("admin")
    users = get_app_client("basic-auth", tracking_uri=server)
    for name in ("trainer", "reviewer"):
        users.create_user(name, PEOPLE[name])
    admin.create_registered_model("bars")
    users.grant_user_permission("trainer", "registered_model", "bars", "EDIT")
    users.grant_user_permission("reviewer", "registered_model", "bars", "MANAGE")

    trainer = become("trainer")
    trainer.create_model_version("bars", "s3://models/bars")
    trainer.set_registered_model_alias("bars", "challenger", "1")
    with pytest.raises(MlflowException, match="Permission denied"):
        trainer.set_registered_model_alias("bars", "champion", "1")

    reviewer = become("reviewer")
    reviewer.set_registered_model_alias("bars", "champion", "1")
    assert (identity().who, identity().source) == ("reviewer", "server")

    with pytest.raises(MlflowException, match="Permission denied"):
        become("trainer").delete_registered_model_alias("bars", "champion")
    assert str(become("reviewer").get_model_version_by_alias("bars", "champion").version) == "1"
