"""Prefect's server as Tidemill starts it: on this machine alone, for who knows its password, and for no page of another site.

`python -m flows.server PORT` serves until it is told to end; `.tidemill/prefect-password` holds the password.
"""

import os
import secrets
import sys
from collections.abc import Mapping

from filelock import FileLock

from flows import settings
from tidemill.core.files import finished_file
from tidemill.serving.access import Access
from tidemill.serving.asgi import App
from tidemill.tracking.store import own_folder

HOST = "127.0.0.1"


def application() -> App:
    """Return Prefect's application behind a check of the headers Host and Origin, which Prefect does not look at."""
    from prefect.server.api.server import create_app

    return Access(create_app(final=True), token=None)


def password() -> str:
    """Return what the project's server asks for. It is made once, and its owner alone can read the file."""
    path = own_folder() / settings.PASSWORD.name
    with FileLock(path.with_suffix(".lock")):
        if not path.exists():
            with finished_file(path) as partial:
                partial.touch(0o600)
                partial.write_text(new_password(), encoding="ascii")
    return path.read_text(encoding="ascii").strip()


def new_password() -> str:
    """Return a password that nobody guesses."""
    return f"tidemill:{secrets.token_urlsafe()}"


def variables(port: int, password: str) -> Mapping[str, str]:
    """Return the variables with which a server asks for the password and lets no page of another site read an answer."""
    return {
        "PREFECT_SERVER_API_AUTH_STRING": password,
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": f"http://{HOST}:{port},http://localhost:{port}",
    }


def main(port: int) -> None:
    """Serve Prefect's pages and its API until SIGTERM or Ctrl-C."""
    own = {
        "PREFECT_SERVER_UI_API_URL": f"http://{HOST}:{port}/api",  # where the page looks, on any port
        "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
    }
    os.environ.update({**own, **variables(port, password())})  # read when Prefect is imported

    import uvicorn
    from prefect.settings import get_current_settings

    current = get_current_settings().server
    uvicorn.run(
        application(),
        host=HOST,
        port=port,
        timeout_keep_alive=current.api.keepalive_timeout,
        ws_ping_interval=current.api.websocket_ping_interval,
        ws_ping_timeout=current.api.websocket_ping_timeout,
        log_level=current.logging_level.lower(),
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
