"""A running MLflow server with accounts, for tests that attack it."""

import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mlflow import MlflowClient

PASSWORDS = {name: secrets.token_urlsafe(16) for name in ("admin", "trainer", "reviewer", "visitor")}


@contextmanager
def serving(folder: Path, store: str = "", people: str = "", app: str = "tidemill-guarded") -> Iterator[str]:
    """The address of a server, once it answers."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (folder / "auth.ini").write_text(
        "[mlflow]\nauth_cache_ttl_seconds = 60\ndefault_permission = READ\nadmin_username = admin\n"
        f"database_uri = {people or f'sqlite:///{folder}/auth.db'}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    settings = {
        **{name: value for name, value in os.environ.items() if not name.startswith("MLFLOW")},
        "MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"),
        "MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORDS["admin"],
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(16),
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    command = [sys.executable, "-m", "mlflow", "server", "--app-name", app, "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "1", "--backend-store-uri", store or f"sqlite:///{folder}/mlflow.db"]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(command, cwd=folder, env=settings, stdout=log, stderr=log, start_new_session=True) as process,
    ):
        try:
            _wait(f"http://127.0.0.1:{port}/health", process, folder / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(process.pid, 15)


def become(name: str, server: str, patch: pytest.MonkeyPatch) -> "MlflowClient":
    """A client of an account, which everything that reads the environment uses from now on."""
    patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")  # its thread changes the environment while others read it
    patch.setenv("MLFLOW_TRACKING_URI", server)
    patch.setenv("MLFLOW_TRACKING_USERNAME", name)
    patch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORDS[name])
    from mlflow import MlflowClient

    return MlflowClient(server)


def open_accounts(server: str, models: tuple[str, ...]) -> None:
    """As the administrator: models, a trainer who may edit them, a reviewer who may manage them, and a visitor."""
    from mlflow.server import get_app_client

    with pytest.MonkeyPatch.context() as patch:
        admin = become("admin", server, patch)
        users = get_app_client("basic-auth", tracking_uri=server)
        for name in ("trainer", "reviewer", "visitor"):
            users.create_user(name, PASSWORDS[name])
        for model in models:
            admin.create_registered_model(model)
            users.grant_user_permission("trainer", "registered_model", model, "EDIT")
            users.grant_user_permission("reviewer", "registered_model", model, "MANAGE")


def _wait(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(240):
        try:
            urllib.request.urlopen(address, timeout=2)
            return
        except OSError:
            assert process.poll() is None, log.read_text()
            time.sleep(0.5)
    raise AssertionError(log.read_text())
