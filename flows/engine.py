"""Runs a plan to its end, whatever runs its stages: threads of this process, or the tasks of a Prefect flow."""

import os
import queue
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol, Self

from flows import durations
from flows.display import Display
from flows.graph import Choice, Plan, Stage, may_change, width
from flows.limits import of_this_machine
from flows.records import serial_records
from flows.schedule import Schedule
from flows.stages import Options, Outcome, StageRunner, stage_environment

CHECK_SECONDS = 5.0
"""How often it is asked whether the run is still wanted."""


@dataclass(frozen=True)
class Request:
    """What to bring up to date, and how."""

    choice: Choice = field(default_factory=Choice)
    keep_going: bool = False
    """After a failure, go on with what does not depend on it."""
    jobs: int = 1
    """How many stages may run at once."""
    limits: Mapping[str, int] = field(default_factory=dict)
    """How many stages that name a limit may run at once on this machine."""
    force_downstream: bool = False
    """Of a stage that ran, also what depends on it and has not changed."""
    options: Options = field(default_factory=Options)

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any]) -> Self:
        """Return what the parameters of the flow `train` ask for, and the limits that the environment sets.

        Raises:
            LimitError: the environment sets something else.
        """
        one = parameters.get
        force, allow_missing = one("force", False), one("allow_missing", False)
        return cls(
            Choice(
                tuple(one("stages") or ()),
                one("downstream", False),
                one("single_item", False),
                one("recursive", False),
                one("glob", False),
                force,
                allow_missing,
            ),
            one("keep_going", False),
            one("jobs") or os.cpu_count() or 1,
            {**of_this_machine(), **(one("limits") or {})},
            one("force_downstream", False),
            Options(
                force,
                allow_missing,
                one("pull", False),
                one("no_commit", False),
                run_cache=not one("no_run_cache", False),
            ),
        )


class Tasks(Protocol):
    """What runs single stages: each start gives a future, whose outcome is asked for once it is done."""

    def start(
        self, stage: Stage, runner: StageRunner, options: Options, limits: dict[str, int], upstream: list[Any]
    ) -> Any:
        """Start a stage; `upstream` are the futures of what it needs. A stage stopped from outside is tried again."""

    def outcome(self, future: Any) -> Outcome:
        """Return how a stage ended."""

    def check(self) -> None:
        """Raise if the run is no longer wanted."""


class Threads:
    """Runs stages in threads of this process, and shows what they write."""

    def __init__(self, jobs: int, display: Display) -> None:
        self._pool = ThreadPoolExecutor(jobs)
        self._display = display

    def start(
        self, stage: Stage, runner: StageRunner, options: Options, limits: dict[str, int], upstream: list[Any]
    ) -> Future[Outcome]:
        return self._pool.submit(self._run, stage.address, runner, options, limits)

    def outcome(self, future: Future[Outcome]) -> Outcome:
        return future.result()

    def check(self) -> None:
        """Nobody else can stop it."""

    def _run(self, address: str, runner: StageRunner, options: Options, limits: dict[str, int]) -> Outcome:
        emit = partial(self._display.said, address)
        try:
            outcome = runner.run(address, emit, options, limits)
            return runner.run(address, emit, options, limits) if outcome.kind == "interrupted" else outcome
        except ChildProcessError as error:
            return Outcome("failed", 0.0, str(error), str(error))


def run_plan(plan: Plan, request: Request, tasks: Tasks, display: Display) -> dict[str, Outcome]:
    """Run the plan to its end and return how each stage that started ended. However it ends, no stage is left."""
    schedule = Schedule(plan, request.jobs, request.limits, request.keep_going, durations.expected(plan))
    environment = stage_environment(min(request.jobs, width(plan, may_change(plan))))
    outcomes: dict[str, Outcome] = {}
    futures: dict[str, Any] = {}
    forced: set[str] = set()
    ended: queue.Queue[str] = queue.Queue()
    with serial_records(plan), StageRunner(environment) as runner, display:
        try:
            while True:
                for address in schedule.start():
                    stage = plan[address]
                    made_anew = any(_made_anew(need, outcomes, forced) for need in stage.needs)
                    if request.options.force or (request.force_downstream and made_anew):
                        forced.add(address)
                    options = replace(request.options, force=address in forced)
                    limits = {name: request.limits[name] for name in stage.limits if name in request.limits}
                    display.started(address)
                    upstream = [futures[need] for need in stage.needs]
                    futures[address] = tasks.start(stage, runner, options, limits, upstream)
                    futures[address].add_done_callback(partial(_put, ended, address))
                if not schedule.running:
                    return outcomes
                address = _next(ended, tasks)
                outcomes[address] = tasks.outcome(futures[address])
                display.ended(address, outcomes[address])
                schedule.end(address, succeeded=not outcomes[address].failed)
        finally:
            runner.stop()
            for address in schedule.running:
                tasks.outcome(futures[address])
            durations.remember({one: outcome.seconds for one, outcome in outcomes.items() if outcome.kind == "ran"})


def _made_anew(address: str, outcomes: Mapping[str, Outcome], forced: set[str]) -> bool:
    return address in forced or outcomes[address].kind in ("ran", "restored")


def _put(ended: queue.Queue[str], address: str, _future: Any) -> None:
    ended.put(address)


def _next(ended: queue.Queue[str], tasks: Tasks) -> str:
    while True:
        try:
            return ended.get(timeout=CHECK_SECONDS)
        except queue.Empty:
            tasks.check()
