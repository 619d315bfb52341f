"""Running the DVC pipeline of the current folder in parallel, for `tidemill run`.

DVC is asked first: when nothing has changed there is nothing to do. Where a Prefect server is named, the run is one of its
flow's; where none is, nobody would see it there, and the stages run without Prefect, whose start costs more than many
stages do.
"""

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import UNAUTHORIZED
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from flows import settings
from tidemill.core.errors import TidemillError

if TYPE_CHECKING:
    from flows.engine import Request
    from flows.graph import Plan

CANCELLED = 130
"""Exit code of a run that was cancelled: that of a shell's command that Ctrl-C ended."""


class Terminated(BaseException):
    """The process was asked to end."""


def run(parameters: Mapping[str, Any], dry_run: bool = False) -> int:
    """Bring stages up to date in this process, which ends them on Ctrl-C and SIGTERM.

    Args:
        parameters: all parameters of the flow `flows.pipeline.train`.
        dry_run: only show what would run, and why.

    Returns:
        The exit code: 0 where every stage is up to date, 1 where one failed, 130 where the run was cancelled.

    Raises:
        TidemillError: a stage or a limit does not exist, DVC cannot read its files, or Prefect's server is gone or asks for
            another password.
    """
    from rich.console import Console

    from flows.dvc_internals import DvcException
    from flows.engine import Request
    from flows.graph import PlanError, may_change, read_plan
    from flows.limits import LimitError
    from flows.quick_dvc import start_no_thread
    from flows.records import sort_what_a_killed_run_left
    from flows.report import plan_table
    from flows.stages import remove_left_locks, temporary_folder

    start_no_thread()
    try:
        request = Request.from_parameters(parameters)
        plan = read_plan(request.choice, parameters["limits"])
    except (PlanError, LimitError, DvcException) as error:
        raise TidemillError(str(error)) from error
    if not dry_run and not may_change(plan):
        sort_what_a_killed_run_left(plan)
        remove_left_locks(temporary_folder())
    if dry_run or not may_change(plan):
        Console().print(plan_table(plan))
        return 0
    return _with_prefect(parameters) if settings.names_a_server() else _alone(plan, request)


def _with_prefect(parameters: Mapping[str, Any]) -> int:
    settings.apply()
    from httpx import HTTPStatusError, TransportError

    from flows.pipeline import train

    try:
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


def _alone(plan: "Plan", request: "Request") -> int:
    from rich.console import Console

    from flows import display
    from flows.engine import Threads, run_plan
    from flows.graph import pull_run_cache
    from flows.report import result_table

    if request.options.pull and request.options.run_cache:
        pull_run_cache()
    shown = display.chosen(plan, request.jobs, display.PlainLines())
    try:
        with _terminated_by_signal():
            outcomes = run_plan(plan, request, Threads(request.jobs, shown), shown)
    except (KeyboardInterrupt, Terminated):
        Console(stderr=True).print("cancelled; the stages that were running have been ended")
        return CANCELLED
    Console().print(result_table(plan, outcomes))
    return int(any(outcome.failed for outcome in outcomes.values()))


@contextmanager
def _terminated_by_signal() -> Iterator[None]:
    """Raise on SIGTERM, as Python does on Ctrl-C."""

    def terminate(_number: int, _frame: FrameType | None) -> NoReturn:
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
