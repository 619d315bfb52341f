"""Environment variables that Prefect reads when it is imported: apply them first. This module imports nothing heavy."""

import os
from pathlib import Path

PREFECT_DEFAULTS = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",  # its 20 s are too few on a busy machine
    "PREFECT_LOGGING_FORMATTERS_STANDARD_TASK_RUN_FMT": "%(asctime)s | %(task_run_name)s | %(message)s",
}

SERVER = "PREFECT_API_URL"
RUNNER = "TIDEMILL_TASK_RUNNER"
"""The variable that names a task runner of Prefect's: where the tasks of a flow run."""
POOL = "tidemill"
"""The work pool of the deployments."""
MISSED = "Missed"
"""Name of the state of a run that a later one stands for."""
PASSWORD = Path(".tidemill/prefect-password")
"""What the server of this folder asks for; its owner alone can read it."""
RETRAIN = "retrain/retrain"
"""The deployment that the monitor starts where params ask for it."""


def apply() -> None:
    """Set the defaults; variables that the user has set stay as they are."""
    os.environ.update({**PREFECT_DEFAULTS, **os.environ})


def names_a_server() -> bool:
    """Whether flows are to report to a server: an address is set, in the environment or in a file that Prefect reads.

    Prefect itself is asked only where such a file speaks of it: importing it takes a second.
    """
    if os.environ.get(RUNNER):  # its processes report to one
        return True
    if SERVER in os.environ:
        return bool(os.environ[SERVER])
    home = Path(os.environ.get("PREFECT_HOME") or Path.home() / ".prefect")
    profiles = Path(os.environ.get("PREFECT_PROFILES_PATH") or home / "profiles.toml")
    if not any(
        _speaks_of_prefect(path) for path in (profiles, Path("prefect.toml"), Path("pyproject.toml"), Path(".env"))
    ):
        return False
    from prefect.settings import PREFECT_API_URL

    return bool(PREFECT_API_URL.value())


def _speaks_of_prefect(path: Path) -> bool:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return SERVER in text.upper() or "[tool.prefect" in text or path.name == "prefect.toml"
