"""Where the tasks of a flow run: in threads of its own process, or in the processes of a Prefect task runner."""

import json
import os
from typing import Any

from prefect.settings import PREFECT_API_URL
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
from prefect.utilities.importtools import from_qualified_name

from flows.settings import RUNNER as NAME

OPTIONS = "TIDEMILL_TASK_RUNNER_OPTIONS"


def chosen_runner() -> TaskRunner[Any]:
    """The task runner that the environment names, `prefect_dask.DaskTaskRunner`, with its options as JSON; else threads.

    Raises:
        SystemExit: there is none of that name, it does not take these options, or there is no server for it. A flow is
            given its runner where it is defined, so the one line that tells is all that can be done.
    """
    name = os.environ.get(NAME)
    if not name:
        return ThreadPoolTaskRunner()  # without bound: how many run at once is the schedule's to say
    try:
        kind = from_qualified_name(name)
    except (ImportError, AttributeError) as error:
        raise SystemExit(f"error: {NAME}: {name} cannot be imported: {error}") from error
    if not (isinstance(kind, type) and issubclass(kind, TaskRunner)):
        raise SystemExit(f"error: {NAME}: {name} is no task runner of Prefect's")
    if not PREFECT_API_URL.value():
        raise SystemExit(f"error: {NAME}: the processes of {name} need a Prefect server: set PREFECT_API_URL")
    try:
        return kind(**json.loads(os.environ.get(OPTIONS, "{}")))
    except (TypeError, ValueError) as error:
        raise SystemExit(f"error: {OPTIONS}: {name} cannot be made of it: {error}") from error
