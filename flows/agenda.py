"""What Prefect's server will run when, and how the last run of each deployment ended: for `make deploy` and `status`."""

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rich.table import Table

from flows import settings
from flows.settings import PASSWORD, POOL
from tidemill.core.errors import TidemillError

ADDRESS = Path(".tidemill/prefect-address")
"""Where `make ui` and `make deploy` leave the address of the server they have started."""
CONNECT_SECONDS = 0.5
LOOKED_AT = 20
"""How many runs are read to find the last one that has begun."""

PAGE = 200
"""How many deployments or runs the server gives at once."""


@dataclass(frozen=True)
class Entry:
    """One deployment."""

    name: str
    """`train/train`."""
    schedules: tuple[str, ...]
    """What is scheduled, in words; those that are paused say so."""
    is_scheduled: bool
    """Whether one of them is not paused."""
    limit: str
    """How many of its runs there are at once, and what another one does."""
    next: datetime | None
    last: datetime | None
    outcome: str
    """Name and message of the last run's state; empty where there was none."""


def agenda_of_running_server() -> list[Entry]:
    """Return the agenda of the server that PREFECT_API_URL names or that this folder runs; without one, nothing.

    Raises:
        TidemillError: a server answers there, but not as Prefect's.
    """
    named = os.environ.get("PREFECT_API_URL")
    own = {} if named else _own_server()
    url = named or own.get("PREFECT_API_URL")
    if not url or not _listens(url):
        return []
    settings.apply()
    os.environ.update(own)
    from httpx import HTTPError
    from prefect.client.orchestration import get_client

    try:
        with get_client(sync_client=True) as client:
            return read_agenda(client)
    except HTTPError as error:
        raise TidemillError(f"Prefect's server at {url}: {' '.join(str(error).split())}") from error


def _own_server() -> dict[str, str]:
    """Return the variables that name the server of this folder."""
    if not (ADDRESS.exists() and PASSWORD.exists()):
        return {}
    names = {"PREFECT_API_URL": ADDRESS, "PREFECT_API_AUTH_STRING": PASSWORD}
    return {name: path.read_text(encoding="utf-8").strip() for name, path in names.items()}


def _listens(url: str) -> bool:
    """Whether anything accepts connections there: a server that is gone must not cost Prefect's own patience."""
    address = urlsplit(url)
    port = address.port or (443 if address.scheme == "https" else 80)
    with suppress(OSError), socket.create_connection((address.hostname or "", port), CONNECT_SECONDS):
        return True
    return False


def read_agenda(client: Any) -> list[Entry]:
    """Return the deployments of the work pool, by name, each with its next run and its last.

    Args:
        client: a synchronous client of Prefect's.
    """
    return [_entry(client, name, one) for name, one in sorted(deployments(client).items())]


def deployments(client: Any) -> dict[str, Any]:
    """Return the deployments of the work pool by name (`train/train`)."""
    from prefect.client.schemas.filters import WorkPoolFilter, WorkPoolFilterName

    pool = WorkPoolFilter(name=WorkPoolFilterName(any_=[POOL]))
    found = client.read_deployments(work_pool_filter=pool, limit=PAGE)
    flows = {flow.id: flow.name for flow in client.read_flows(limit=PAGE)}
    return {f"{flows[one.flow_id]}/{one.name}": one for one in found if one.flow_id in flows}


def timetable(entries: list[Entry], known: set[str]) -> Table:
    """Return a table of what runs when.

    Args:
        entries: the deployments.
        known: the names that prefect.yaml gives (`train`); what the server has beside them is marked.
    """
    table = Table("deployment", "schedule", "next run", "at once", box=None)
    for entry in entries:
        name = entry.name if entry.name.partition("/")[2] in known else f"{entry.name} (not in prefect.yaml)"
        table.add_row(name, "\n".join(entry.schedules) or "by hand", _moment(entry.next), entry.limit)
    return table


def next_and_last(entries: list[Entry]) -> Table:
    """Return a table of the next and the last runs; deployments that never ran and will not are left out."""
    table = Table("deployment", "next run", "last run", "", box=None)
    for entry in entries:
        if entry.next or entry.last:
            table.add_row(entry.name, _moment(entry.next), _moment(entry.last), entry.outcome)
    return table


def schedule_text(schedule: Any) -> str:
    """Return a schedule of Prefect's in words, without whether it is paused: `0 3 * * * UTC`, `every 0:00:30 UTC`."""
    from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule

    match schedule.schedule:
        case CronSchedule(cron=cron):
            rule = cron
        case IntervalSchedule(interval=interval):
            rule = f"every {interval}"
        case other:
            rule = other.rrule
    parameters = (f"{name}={value}" for name, value in sorted(schedule.parameters.items()))
    return " ".join([rule, schedule.schedule.timezone or "UTC", *parameters])


def _entry(client: Any, name: str, one: Any) -> Entry:
    coming, begun = _coming(client, one), _begun(client, one)
    active = [schedule.active and not one.paused for schedule in one.schedules]
    schedules = tuple(
        f"{schedule_text(schedule)}{'' if is_active else ', paused'}"
        for schedule, is_active in zip(one.schedules, active, strict=True)
    )
    outcome = (
        " ".join(filter(None, [begun.state.name, begun.state.message and f"({begun.state.message})"])) if begun else ""
    )
    return Entry(
        name,
        schedules,
        any(active),
        _limit(one),
        coming.next_scheduled_start_time if coming else None,
        begun.start_time if begun else None,
        outcome,
    )


def _coming(client: Any, deployment: Any) -> Any:
    """Return the first of the deployment's runs that have not begun."""
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
    from prefect.client.schemas.objects import StateType
    from prefect.client.schemas.sorting import FlowRunSort

    waiting = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED]))
    runs = _runs(client, deployment, FlowRunFilter(state=waiting), FlowRunSort.NEXT_SCHEDULED_START_TIME_ASC)
    return next(iter(runs), None)


def _begun(client: Any, deployment: Any) -> Any:
    """Return the last of the deployment's runs that have begun; Prefect gives a start to those it only cancelled, too."""
    from prefect.client.schemas.filters import (
        FlowRunFilter,
        FlowRunFilterStartTime,
        FlowRunFilterState,
        FlowRunFilterStateName,
    )
    from prefect.client.schemas.sorting import FlowRunSort

    begun = FlowRunFilter(
        start_time=FlowRunFilterStartTime(is_null_=False),
        state=FlowRunFilterState(name=FlowRunFilterStateName(not_any_=[settings.MISSED])),
    )
    runs = _runs(client, deployment, begun, FlowRunSort.START_TIME_DESC)
    return next((run for run in runs if run.run_count), None)


def _runs(client: Any, deployment: Any, chosen: Any, order: Any) -> Any:
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId

    own = DeploymentFilter(id=DeploymentFilterId(any_=[deployment.id]))
    return client.read_flow_runs(deployment_filter=own, flow_run_filter=chosen, sort=order, limit=LOOKED_AT)


def _limit(deployment: Any) -> str:
    if deployment.global_concurrency_limit is None:
        return "any number"
    options = deployment.concurrency_options
    cancels = options is not None and options.collision_strategy == "CANCEL_NEW"
    return f"{deployment.global_concurrency_limit.limit}; another {'is cancelled' if cancels else 'waits'}"


def _moment(time: datetime | None) -> str:
    return f"{time.astimezone():%Y-%m-%d %H:%M:%S}" if time else "-"
