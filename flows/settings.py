"""Environment variables that Prefect reads when it is imported: apply them first. This module imports nothing heavy."""

import os

PREFECT_DEFAULTS = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",  # its 20 s are too few on a busy machine
    "PREFECT_LOGGING_FORMATTERS_STANDARD_TASK_RUN_FMT": "%(asctime)s | %(task_run_name)s | %(message)s",
}

POOL = "tidemill"
"""The work pool of the deployments."""
MISSED = "Missed"
"""Name of the state of a run that a later one stands for."""
RETRAIN = "retrain/retrain"
"""The deployment that the monitor starts where params ask for it."""


def apply() -> None:
    """Set the defaults; variables that the user has set stay as they are."""
    os.environ.update({**PREFECT_DEFAULTS, **os.environ})
