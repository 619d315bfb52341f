"""The temporary server that Prefect starts for a flow where none is named: begun so that many flows may begin at once."""

import signal
from contextlib import nullcontext
from pathlib import Path
from types import FrameType
from typing import NoReturn

import prefect
from filelock import FileLock
from prefect.server.api.server import SubprocessASGIServer
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, PREFECT_SERVER_EPHEMERAL_ENABLED


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
        SubprocessASGIServer().start()
        made.touch()


def _exit(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(130)
