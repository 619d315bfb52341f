"""The temporary server that Prefect starts for a flow where none is named: begun so that many flows may begin at once."""

import signal
import subprocess
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn
from unittest.mock import patch

import prefect
from filelock import FileLock
from prefect.server.api.server import SubprocessASGIServer
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, PREFECT_SERVER_EPHEMERAL_ENABLED


class ServerOfItsOwnSession(SubprocessASGIServer):
    """Prefect's temporary server, out of reach of what ends the flow's process group.

    Ctrl-C in a terminal is sent to all of the group, and a server that has gone learns of no cancellation.
    """

    def _run_uvicorn_command(self) -> "subprocess.Popen[Any]":
        own_session = partial(subprocess.Popen, start_new_session=True)
        with patch.object(subprocess, "Popen", own_session):  # Prefect has no setting for it
            return super()._run_uvicorn_command()


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
        ServerOfItsOwnSession().start()  # the one server of this process, whatever class asks for it
        made.touch()


def _exit(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(130)
