"""The temporary server that Prefect starts for a flow where none is named: begun so that many flows may begin at once."""

import os
import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn
from unittest.mock import patch

import prefect
from filelock import FileLock
from prefect.context import refresh_global_settings_context
from prefect.server.api.server import SubprocessASGIServer
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, PREFECT_SERVER_EPHEMERAL_ENABLED, get_current_settings

from flows import server

ROOT = Path(__file__).resolve().parents[1]


class OwnServer(SubprocessASGIServer):
    """Prefect's temporary server, which answers this process alone and is out of reach of what ends its process group.

    Ctrl-C in a terminal is sent to all of the group, and a server that has gone learns of no cancellation.
    """

    password: str

    def _run_uvicorn_command(self) -> "subprocess.Popen[Any]":
        assert self.port
        command = [sys.executable, "-m", "uvicorn", "--app-dir", str(ROOT), "--factory", "flows.server:application"]
        environment = {
            **os.environ,
            **get_current_settings().to_environment_variables(exclude_unset=True),
            **server.variables(self.port, self.password),
            "PREFECT_UI_ENABLED": "0",
            "PREFECT__SERVER_EPHEMERAL": "1",
        }
        return subprocess.Popen(
            [*command, "--host", server.HOST, "--port", str(self.port), "--log-level", "error", "--lifespan", "on"],
            env=environment,
            start_new_session=True,
        )


def start_if_none_is_named() -> None:
    """Start Prefect's temporary server, unless a server is named; flows of this process use it, and it ends with it.

    The first one makes Prefect's database. Two that do so at the same time break each other, so one at a time starts
    until one has; later ones need not wait.
    """
    if PREFECT_API_URL.value() or not PREFECT_SERVER_EPHEMERAL_ENABLED.value():
        return
    signal.signal(signal.SIGTERM, _exit)  # by its default action the server would stay
    home = Path(PREFECT_HOME.value())
    home.mkdir(parents=True, exist_ok=True)
    database, made = home / "prefect.db", home / f"prefect-{prefect.__version__}.made"
    with nullcontext() if made.exists() and database.exists() else FileLock(home / "first-start.lock"):
        own = OwnServer()  # the one server of this process, whatever class asks for it
        own.password = server.new_password()
        with patch.dict(os.environ, PREFECT_API_AUTH_STRING=own.password):
            refresh_global_settings_context()  # the password is this process's alone: its stages do not inherit it
        own.start()
        made.touch()


def _exit(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(130)
