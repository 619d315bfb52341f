"""Notify people of what happens: `tidemill notify https://hooks.slack.com/…`, or through a block of Prefect's.

Off until this has been run once. It creates an automation on the Prefect server, and for a URL a block, that can be
changed on its page; run again, it replaces them.
"""

from datetime import timedelta
from typing import cast
from uuid import UUID

from flows.events import DRIFT, PROPOSED, REFUSED
from tidemill.core.errors import TidemillError

NAME = "Tell people"
BLOCK = "tell-people"
EVENTS = {"prefect.flow-run.Failed", "prefect.flow-run.Crashed", PROPOSED, DRIFT, REFUSED}
RESOURCES = ["prefect.flow-run.*", "tidemill.*"]
BODY = (
    "{% if flow_run %}{{ flow_run.name }}: {{ flow_run.state.message }}\n{{ flow_run | ui_url }}"
    "{% else %}{% for name, value in event.payload.items() %}{{ name }}: {{ value }}\n{% endfor %}{% endif %}"
)


def notify(where: str) -> str:
    """Post a line when a run fails, crashes or is refused, a version waits for its review, or data drift.

    Args:
        where: a URL, which receives `{'text': …}` and is stored as a secret; or a block from Prefect's page, as
            `sendgrid-email/team`.

    Returns:
        What is switched on, and how to stop it.

    Raises:
        TidemillError: there is no such block, or it cannot notify.
    """
    from prefect.automations import Automation
    from prefect.events.actions import SendNotification
    from prefect.events.schemas.automations import EventTrigger, Posture
    from prefect.events.schemas.events import ResourceSpecification

    block = _webhook(where) if "://" in where else _existing_block(where)
    trigger = EventTrigger(
        posture=Posture.Reactive,
        match=ResourceSpecification({"prefect.resource.id": RESOURCES}),
        for_each={"prefect.resource.id"},
        expect=EVENTS,
        threshold=1,
        within=timedelta(0),
    )
    subject = "{{ event.event }}: {{ event.resource.name }}"
    action = SendNotification(block_document_id=block, subject=subject, body=BODY)
    _remove(NAME)
    Automation(name=NAME, trigger=trigger, actions=[action]).create()
    return f"on: {', '.join(sorted(EVENTS))}; `prefect automation pause '{NAME}'` stops it"


def _webhook(url: str) -> UUID:
    from prefect.blocks.notifications import CustomWebhookNotificationBlock

    webhook = CustomWebhookNotificationBlock.model_validate(
        {
            "name": BLOCK,
            "url": "{{address}}",
            "secrets": {"address": url},
            "json_data": {"text": "{{subject}}\n{{body}}"},
        }
    )
    return cast(UUID, webhook.save(BLOCK, overwrite=True))


def _existing_block(slug: str) -> UUID:
    """Return a block that somebody created on Prefect's page.

    Raises:
        TidemillError: there is none of this name, or it cannot notify.
    """
    from prefect.blocks.abstract import NotificationBlock
    from prefect.blocks.core import Block

    try:
        block = Block.load(slug)
    except ValueError as error:
        raise TidemillError(
            f"no block {slug!r} on the Prefect server: `prefect block ls` names them, and Blocks on its page creates one"
        ) from error
    if not isinstance(block, NotificationBlock):
        raise TidemillError(f"the block {slug} notifies nobody: use one such as slack-webhook/… or sendgrid-email/…")
    return cast(UUID, block._block_document_id)


def _remove(name: str) -> None:
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        for automation in client.read_automations_by_name(name):
            client.delete_automation(automation.id)
