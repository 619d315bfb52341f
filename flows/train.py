"""Running the DVC pipeline of the current folder in parallel, for `tidemill run`.

DVC is asked first. When nothing has changed there is nothing to do, and neither Prefect nor a server is started.
"""

from collections.abc import Mapping
from http.client import UNAUTHORIZED
from typing import Any

from flows import settings
from tidemill.core.errors import TidemillError

CANCELLED = 130
"""Exit code of a run that was cancelled: that of a shell's command that Ctrl-C ended."""


def run(parameters: Mapping[str, Any], dry_run: bool = False) -> int:
    """Run the flow `flows.pipeline.train` in this process, which ends its stages on Ctrl-C and SIGTERM.

    Args:
        parameters: all parameters of the flow.
        dry_run: only show what would run, and why.

    Returns:
        The exit code: 0 where every stage is up to date, 1 where one failed, 130 where the run was cancelled.

    Raises:
        TidemillError: a stage or a limit does not exist, DVC cannot read its files, or Prefect's server is gone or asks for
            another password.
    """
    from dvc.exceptions import DvcException
    from rich.console import Console

    from flows.graph import Choice, PlanError, may_change, read_plan
    from flows.limits import LimitError, of_this_machine
    from flows.report import plan_table

    chosen = ("downstream", "single_item", "force", "allow_missing")
    choice = Choice(tuple(parameters["stages"]), **{name: parameters[name] for name in chosen})
    try:
        of_this_machine()
        plan = read_plan(choice, parameters["limits"])
    except (PlanError, LimitError, DvcException) as error:
        raise TidemillError(str(error)) from error
    if dry_run or not may_change(plan):
        Console().print(plan_table(plan))
        return 0
    settings.apply()
    from httpx import HTTPStatusError, TransportError

    from flows.pipeline import train
    from flows.temporary_server import start_if_none_is_named

    try:
        start_if_none_is_named()
        state = train(**parameters, return_state=True)
    except TransportError as error:
        raise TidemillError(
            "Prefect's server does not respond any more; what the stages have made is kept: start it, and run again"
        ) from error
    except HTTPStatusError as error:
        if error.response.status_code != UNAUTHORIZED:
            raise
        raise TidemillError(
            "Prefect's server asks for another password: set PREFECT_API_AUTH_STRING to what its .tidemill/prefect-password has"
        ) from error
    return 0 if state.is_completed() else CANCELLED if state.is_cancelled() else 1
