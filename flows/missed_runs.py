"""Missed runs once, and how runs end in a line: what is added to Prefect's worker.

Prefect schedules runs ahead. Where no worker was there at their time, because it, the server or the machine was gone or
all places were taken, it hands them all out afterwards. One is enough: it does what the others would have done.
"""

import json
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.responses import WorkerFlowRunResponse
from prefect.client.schemas.sorting import FlowRunSort
from prefect.states import Cancelled

from flows import settings
from flows.events import REFUSED, emit

NEVER = datetime.min.replace(tzinfo=UTC)
PAGE = 200
"""How many runs the server gives at once."""
OWN_POOL = WorkPoolFilter(name=WorkPoolFilterName(any_=[settings.POOL]))
BY_LIMIT = "Deployment concurrency limit reached."
"""Prefect's message of a run that its deployment's limit cancelled."""


def superseded(runs: Iterable[FlowRun]) -> list[tuple[FlowRun, FlowRun]]:
    """Return the runs that need not run, each with the one that does the same later.

    Args:
        runs: scheduled runs whose time has come; those that a person started, and those that have begun once and wait
            for a retry or to be resumed, are left alone.
    """
    latest: dict[tuple[UUID | None, str], FlowRun] = {}
    missed = []
    for run in sorted(runs, key=lambda run: run.expected_start_time or NEVER, reverse=True):
        if run.auto_scheduled and not run.run_count:
            same = run.deployment_id, json.dumps(run.parameters, sort_keys=True, default=str)
            if latest.setdefault(same, run) is not run:
                missed.append((run, latest[same]))
    return missed


class OnceForAllMissed:
    """What is added to Prefect's worker of any type: before it looks for runs, it cancels and tells what it should."""

    client: PrefectClient

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._begun: set[UUID] = set()
        self._told = datetime.now(UTC)
        self._names: dict[UUID, str] = {}

    async def get_and_submit_flow_runs(self) -> list[FlowRun]:
        """Tell what has ended, and run what is due."""
        await self._tell_ends()
        begun: list[FlowRun] = await super().get_and_submit_flow_runs()  # type: ignore[misc]  # of the worker beside it
        self._begun = {run.id for run in begun}
        return begun

    async def _get_scheduled_flow_runs(self) -> list[WorkerFlowRunResponse]:
        """Return what the server hands out, without the missed runs: a worker that stood still is handed them, too."""
        found: list[WorkerFlowRunResponse] = await super()._get_scheduled_flow_runs()  # type: ignore[misc]
        missed = await self._cancel_missed()
        return [one for one in found if one.flow_run.id not in missed]

    async def _cancel_missed(self) -> set[UUID]:
        """Cancel those that a later run stands for, also where they wait for their deployment's place."""
        due = FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
            expected_start_time=FlowRunFilterExpectedStartTime.model_validate({"before_": datetime.now(UTC)}),
        )
        missed = superseded(run for run in await self._read(due) if run.id not in self._begun)
        for run, later in missed:
            message = f"missed; the run of {later.expected_start_time:%Y-%m-%d %H:%M:%S} UTC does the same"
            await self.client.set_flow_run_state(run.id, Cancelled(name=settings.MISSED, message=message))
        for deployment, count in Counter([run.deployment_id for run, _ in missed]).items():
            print(f"{await self._name(deployment)}: {count} missed; the latest run does for all", flush=True)
        return {run.id for run, _ in missed}

    async def _tell_ends(self) -> None:
        """Print how runs have ended since the last time, and let `tidemill notify` know of those the limit cancelled."""
        now = datetime.now(UTC)
        ended = FlowRunFilter(end_time=FlowRunFilterEndTime.model_validate({"after_": self._told, "before_": now}))
        for run in await self._read(ended):
            if run.state is None or run.state.name == settings.MISSED:
                continue
            name = await self._name(run.deployment_id)
            print(f"{name} {run.name!r}: {run.state.name}; {run.state.message or 'no message'}", flush=True)
            if run.state.message == BY_LIMIT:
                emit(
                    REFUSED,
                    name,
                    {"run": run.name, "reason": "as many of its runs as it may have at once are going on"},
                )
        self._told = now

    async def _read(self, chosen: FlowRunFilter) -> list[FlowRun]:
        found: list[FlowRun] = []
        while len(found) % PAGE == 0:
            order = FlowRunSort.EXPECTED_START_TIME_DESC
            page = await self.client.read_flow_runs(
                flow_run_filter=chosen, work_pool_filter=OWN_POOL, sort=order, limit=PAGE, offset=len(found)
            )
            if not page:
                break
            found += page
        return found

    async def _name(self, deployment: UUID | None) -> str:
        if deployment is None:
            return "a run of no deployment"
        if deployment not in self._names:
            found = await self.client.read_deployment(deployment)
            self._names[deployment] = f"{(await self.client.read_flow(found.flow_id)).name}/{found.name}"
        return self._names[deployment]
