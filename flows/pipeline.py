"""The Prefect flow over DVC's graph: each stage a task, independent ones at the same time, unchanged ones cached."""

import logging
import os
import re
from collections.abc import Sequence
from typing import Any

from prefect import Task, flow, get_client, get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.exceptions import TerminationSignal
from prefect.futures import PrefectFuture
from prefect.logging.handlers import PrefectConsoleHandler
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Failed
from rich.console import Console

from flows import display
from flows.engine import Request, run_plan
from flows.graph import Plan, PlanError, Stage, pull_run_cache, read_metrics, read_plan
from flows.limits import LimitError
from flows.report import links, markdown, result_table
from flows.runners import chosen_runner
from flows.stages import Options, Outcome, StageRunner


class CancelledOnPageError(Exception):
    """Somebody has cancelled the flow run on Prefect's page."""


@flow(name="train", task_runner=chosen_runner())
def train(
    stages: list[str] | None = None,
    downstream: bool = False,
    force: bool = False,
    keep_going: bool = False,
    jobs: int | None = None,
    limits: dict[str, int] | None = None,
    single_item: bool = False,
    force_downstream: bool = False,
    pull: bool = False,
    allow_missing: bool = False,
    no_commit: bool = False,
    no_run_cache: bool = False,
    recursive: bool = False,
    glob: bool = False,
) -> State[Any]:
    """Bring stages of the DVC repository in the current folder, and all they need, up to date.

    Args:
        stages: stages (`train@digits`), groups (`train`) or systems (`digits`); without them all of dvc.yaml.
        downstream: also what depends on them.
        force: also what has not changed.
        keep_going: after a failure, go on with what does not depend on it.
        jobs: how many stages may run at once; without it one a core.
        limits: how many stages that name a limit (`meta: {limits: [gpu]}`) may run at once on this machine.
        single_item: only the stages named, without what they need.
        force_downstream: of a stage that ran, also what depends on it and has not changed.
        pull: fetch missing data from DVC's remote, and its run cache.
        allow_missing: leave alone what has not changed and whose data are only missing.
        no_commit: do not put outputs into DVC's cache.
        no_run_cache: run what DVC's run cache has the outputs of.
        recursive: `stages` are folders: all stages inside them.
        glob: `stages` are patterns: `train@*`.
    """
    parameters = dict(locals())
    try:
        request = Request.from_parameters(parameters)
        plan = read_plan(request.choice, limits or ())
    except (PlanError, LimitError) as error:
        return Failed(message=str(error))
    if pull and not no_run_cache:
        pull_run_cache()
    try:
        outcomes = run_plan(plan, request, PrefectTasks(), _display(plan, request.jobs))
    except (KeyboardInterrupt, TerminationSignal, CancelledOnPageError):
        if "PREFECT__FLOW_RUN_ID" in os.environ:  # a worker sent the signal, and reports the cancellation itself
            raise
        return Cancelled(message="cancelled; the stages that were running have been ended")
    Console().print(result_table(plan, outcomes))
    create_markdown_artifact(
        markdown(plan, outcomes, read_metrics(plan)),
        key="results",
        description="Results",
    )
    return _final_state(plan, outcomes)


class PrefectTasks:
    """Runs each stage as a task of Prefect's, in whatever process its task runner chooses."""

    def start(
        self,
        stage: Stage,
        runner: StageRunner,
        options: Options,
        limits: dict[str, int],
        upstream: list[PrefectFuture[Any]],
    ) -> PrefectFuture[Any]:
        return _task(stage.address).submit(stage, runner, options, limits, wait_for=upstream)

    def outcome(self, future: PrefectFuture[Any]) -> Outcome:
        future.wait()
        return _told(future.state)

    def check(self) -> None:
        with get_client(sync_client=True) as client:
            state = client.read_flow_run(flow_run.id).state
        if state and (state.is_cancelling() or state.is_cancelled()):
            raise CancelledOnPageError


def _display(plan: Plan, jobs: int) -> display.Display:
    """Show a live table on a terminal, and what Prefect prints above it."""
    shown = display.chosen(plan, jobs, display.Nothing())
    if isinstance(shown, display.LiveTable):
        for handler in logging.getLogger().handlers:
            if isinstance(handler, PrefectConsoleHandler):
                handler.console = shown.console
    return shown


def _task(address: str) -> Task[..., Any]:
    """The task of a stage; it is tried once more only where it was stopped from outside: killed, or the machine failed it.

    A stage that ended with an error of its own would end so again, after the same time.
    """
    return Task(
        _run_stage,
        name=address,
        task_run_name=address.replace("{", "{{").replace("}", "}}"),  # Prefect fills in what stands in braces
        cache_policy=NO_CACHE,
        persist_result=False,  # what a task tells of its stage is for this run alone, whatever the user's settings
        retries=1,
        retry_condition_fn=_stopped_from_outside,
    )


def _run_stage(stage: Stage, runner: StageRunner, options: Options, limits: dict[str, int]) -> State[Outcome]:
    """Run one stage, perhaps in another process than the flow's: all that it needs comes to it, and all goes back.

    DVC is asked of each, also of one that had not changed when the run was planned: what it reads may have, since.
    """
    run_id = {"PREFECT__FLOW_RUN_ID": str(flow_run.id)}  # lets `prefect.runtime` in the stage name its run
    outcome = runner.run(stage.address, get_run_logger().info, options, limits, run_id)
    pages = links(stage) if outcome.kind in ("ran", "restored") else []
    if pages:
        create_markdown_artifact("\n".join(pages), key=re.sub("[^a-z0-9]+", "-", stage.address.lower()))
    return _state(outcome, stage.reasons)


def _stopped_from_outside(_: Task[..., Any], _run: TaskRun, state: State[Outcome]) -> bool:
    return _told(state).kind == "interrupted"


def _told(state: State[Outcome]) -> Outcome:
    """What a task's state says of its stage; a task that lost its process says nothing."""
    told = state.result(raise_on_failure=False) if state.is_final() and state.data is not None else None
    return told if isinstance(told, Outcome) else Outcome("failed", 0.0, state.message or "Prefect lost its task")


def _state(outcome: Outcome, reasons: Sequence[str]) -> State[Outcome]:
    match outcome.kind:
        case "ran":
            why = f": {'; '.join(reasons)}" if reasons else ""
            return Completed(message=f"ran in {outcome.seconds:.1f} s{why}", data=outcome)
        case "restored":
            return Completed(name="Cached", message="its outputs came back from DVC's run cache", data=outcome)
        case "unchanged":
            return Completed(name="Cached", message="nothing it reads or writes has changed", data=outcome)
        case "cancelled":
            return Cancelled(message=f"ended after {outcome.seconds:.1f} s", data=outcome)
        case "failed" | "interrupted":
            return Failed(message=outcome.message, data=outcome)


def _final_state(plan: Plan, outcomes: dict[str, Outcome]) -> State[Any]:
    failed = [address for address, outcome in outcomes.items() if outcome.failed]
    if failed:
        return Failed(message=f"{len(failed)} of {len(plan)} stages failed: {', '.join(failed)}")
    ran = sum(outcome.kind == "ran" for outcome in outcomes.values())
    return Completed(message=f"stages: {ran} ran, {len(plan) - ran} cached")
