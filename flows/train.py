"""Run the DVC pipeline of the current folder in parallel: `python flows/train.py [STAGE…]`.

DVC is asked first. When nothing has changed there is nothing to do, and neither Prefect nor a server is started.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder a user runs it in is any DVC repository

PREFECT_DEFAULTS = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",  # its 20 s are too few on a busy machine
    "PREFECT_LOGGING_FORMATTERS_STANDARD_TASK_RUN_FMT": "%(asctime)s | %(task_run_name)s | %(message)s",
}


def main(
    stages: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="STAGE",
            help="Stages (train@digits), groups (train) or systems (digits).",
        ),
    ] = None,
    downstream: Annotated[bool, typer.Option(help="Also what depends on them.")] = False,
    force: Annotated[bool, typer.Option("--force", "-f", help="Also what has not changed.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would run, and why.")] = False,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", "-k", help="After a failure, go on with what does not need it.")
    ] = False,
    jobs: Annotated[int | None, typer.Option(min=1, help="Stages to run at once; one a core if not given.")] = None,
    limit: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=N",
            help="At most N at once, of all runs on this machine, of the stages with `meta: {limits: [NAME]}`.",
        ),
    ] = None,
    single_item: Annotated[
        bool, typer.Option("--single-item", "-s", help="Only the stages named, without what they need.")
    ] = False,
    force_downstream: Annotated[
        bool, typer.Option("--force-downstream", help="Of a stage that ran, also what depends on it.")
    ] = False,
    pull: Annotated[bool, typer.Option("--pull", help="Fetch missing data from DVC's remote.")] = False,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Leave alone what has not changed and is only missing.")
    ] = False,
    no_commit: Annotated[bool, typer.Option("--no-commit", help="Do not put outputs into DVC's cache.")] = False,
    no_run_cache: Annotated[bool, typer.Option("--no-run-cache", help="Run also what ran before.")] = False,
) -> None:
    """Bring stages and all they need up to date, independent ones at the same time. Without STAGE: all of dvc.yaml."""
    from dvc.exceptions import DvcException

    from flows.graph import Choice, PlanError, may_change, read_plan
    from flows.limits import LimitError, of_this_machine
    from flows.report import plan_table

    limits = dict(_limit(text) for text in limit or ())
    choice = Choice(tuple(stages or ()), downstream, single_item, force, allow_missing)
    try:
        of_this_machine()
        plan = read_plan(choice, limits)
    except (PlanError, LimitError, DvcException) as error:
        sys.exit(f"error: {error}")
    if dry_run or not may_change(plan):
        Console().print(plan_table(plan))
        return
    os.environ.update({**PREFECT_DEFAULTS, **os.environ})
    from httpx import TransportError

    from flows.pipeline import train
    from flows.temporary_server import start_if_none_is_named

    try:
        start_if_none_is_named()
        state = train(
            stages,
            downstream,
            force,
            keep_going,
            jobs,
            limits,
            single_item,
            force_downstream,
            pull,
            allow_missing,
            no_commit,
            no_run_cache,
            return_state=True,
        )
    except TransportError:
        sys.exit("error: Prefect's server answers no more; what the stages have made is kept: start it, and run again")
    sys.exit(0 if state.is_completed() else 130 if state.is_cancelled() else 1)


def _limit(text: str) -> tuple[str, int]:
    from flows.limits import LimitError, parse

    try:
        return parse(text)
    except LimitError as error:
        raise typer.BadParameter(str(error), param_hint="--limit") from error


if __name__ == "__main__":
    typer.run(main)
