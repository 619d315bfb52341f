"""The deployments of prefect.yaml on Prefect's server, as the file says: `make deploy` runs this module.

What a person has paused on the server stays paused; a schedule that the file no longer has is removed.
"""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from flows import settings
from flows.agenda import Entry, schedule_text
from tidemill.core.errors import TidemillError
from tidemill.core.files import read_json
from tidemill.core.params import read_yaml

FILE = Path("prefect.yaml")
POOL_TEMPLATE = Path("flows/work_pool.json")
AUTOMATIONS = Path("flows/automations.yaml")
PREFECT = Path(sys.executable).with_name("prefect")
SCHEDULED_SECONDS = 15
"""How long the server may take to schedule the runs of a new schedule; it looks every five seconds."""


def deploy() -> None:
    """Bring work pool, automations and deployments of the server up to date, and show what will run when.

    Raises:
        TidemillError: `prefect deploy` fails.
    """
    from prefect.client.orchestration import get_client
    from rich.console import Console

    from flows.agenda import deployments, timetable

    declared = {one["name"]: one for one in read_yaml(FILE)["deployments"]}
    with get_client(sync_client=True) as client:
        _make_pool(client)
        _update_automations(client)
        before = deployments(client)
        _prefect_deploy()
        for name, deployment in deployments(client).items():
            if deployment.name in declared:
                _remove_schedules(client, name, deployment, declared[deployment.name].get("schedules") or [])
        for name, deployment in deployments(client).items():
            if name in before:
                _pause_again(client, name, before[name], deployment)
        Console().print(timetable(_scheduled(client), known=set(declared)))


def _make_pool(client: Any) -> None:
    """Make the pool of processes, whose template lets a run set nothing but variables; one of containers is left alone."""
    from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
    from prefect.exceptions import ObjectNotFound

    template = read_json(POOL_TEMPLATE)
    try:
        if client.read_work_pool(settings.POOL).type == "process":
            client.update_work_pool(settings.POOL, WorkPoolUpdate(base_job_template=template))
    except ObjectNotFound:
        client.create_work_pool(WorkPoolCreate(name=settings.POOL, type="process", base_job_template=template))


def _update_automations(client: Any) -> None:
    """Create those of the file, or give them what it says today; one that is paused stays so.

    One that says so already is left alone: with an update, Prefect forgets what it has seen of the runs under way.
    """
    from prefect.events.schemas.automations import AutomationCore

    for entry in read_yaml(AUTOMATIONS)["automations"]:
        automation = AutomationCore.model_validate(entry)
        existing = client.read_automations_by_name(automation.name)
        if not existing:
            client.create_automation(automation)
        elif _content(existing[0]) != _content(automation):
            automation.enabled = existing[0].enabled
            client.update_automation(existing[0].id, automation)


def _content(automation: Any) -> Any:
    return automation.model_dump(include={"description", "trigger", "actions"})


def _prefect_deploy() -> None:
    done = subprocess.run(
        [PREFECT, "--no-prompt", "deploy", "--all"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise TidemillError(f"prefect deploy --all: {lines[-1].strip() if lines else f'exit code {done.returncode}'}")


def _remove_schedules(client: Any, name: str, deployment: Any, declared: list[dict[str, Any]]) -> None:
    """Remove the schedules that the file does not have; Prefect itself leaves them where it has none, or names them."""
    slugs = {entry.get("slug") for entry in declared}
    for schedule in deployment.schedules:
        if not declared or schedule.slug not in slugs:
            client.delete_deployment_schedule(deployment.id, schedule.id)
            print(f"{name}: {schedule_text(schedule)} is not in {FILE} and was removed")


def _pause_again(client: Any, name: str, before: Any, deployment: Any) -> None:
    """Pause what was paused before: `prefect deploy` starts it again."""
    if before.paused and not deployment.paused:
        client.pause_deployment(deployment.id)
    paused = {_identity(schedule) for schedule in before.schedules if not schedule.active}
    all_paused = len(paused) == len(before.schedules) > 0
    for schedule in deployment.schedules:
        if schedule.active and (all_paused or _identity(schedule) in paused):
            client.update_deployment_schedule(deployment.id, schedule.id, active=False)
            resume = f"prefect deployment schedule resume {name} {schedule.id}"
            print(f"{name}: {schedule_text(schedule)} stays paused; `{resume}` starts it")


def _scheduled(client: Any) -> list[Entry]:
    """Return the agenda as soon as the server, which looks every few seconds, has a next run for each active schedule."""
    from flows.agenda import read_agenda

    end = time.monotonic() + SCHEDULED_SECONDS
    while True:
        entries = read_agenda(client)
        if time.monotonic() > end or not any(entry.is_scheduled and entry.next is None for entry in entries):
            return entries
        time.sleep(0.2)


def _identity(schedule: Any) -> str:
    return schedule.slug or schedule_text(schedule)


if __name__ == "__main__":
    settings.apply()
    try:
        deploy()
    except TidemillError as error:
        sys.exit(f"error: {error}")
