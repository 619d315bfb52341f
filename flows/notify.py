"""Tell people what happens, through any webhook that takes `{"text": …}`: `python flows/notify.py https://hooks.slack.com/…`.

Off until this has been run once. It makes two objects on the Prefect server, a block and an automation, that its page
then shows and changes; run again, it replaces them.
"""

from datetime import timedelta
from typing import Annotated, cast
from uuid import UUID

import typer

NAME = "Tell people"
BLOCK = "tell-people"
EVENTS = {"prefect.flow-run.Failed", "prefect.flow-run.Crashed", "tidemill.proposed", "tidemill.drift"}
RESOURCES = ["prefect.flow-run.*", "tidemill.*"]
BODY = (
    "{% if flow_run %}{{ flow_run.name }}: {{ flow_run.state.message }}\n{{ flow_run | ui_url }}"
    "{% else %}{% for name, value in event.payload.items() %}{{ name }}: {{ value }}\n{% endfor %}{% endif %}"
)


def main(url: Annotated[str, typer.Argument(help="Where to post `{'text': …}`; kept as a secret.")]) -> None:
    """Post a line when a run fails or crashes, a version waits for its review, or data drift."""
    from prefect.automations import Automation
    from prefect.blocks.notifications import CustomWebhookNotificationBlock
    from prefect.events.actions import SendNotification
    from prefect.events.schemas.automations import EventTrigger, Posture
    from prefect.events.schemas.events import ResourceSpecification

    webhook = CustomWebhookNotificationBlock.model_validate(
        {
            "name": BLOCK,
            "url": "{{address}}",
            "secrets": {"address": url},
            "json_data": {"text": "{{subject}}\n{{body}}"},
        }
    )
    block = cast(UUID, webhook.save(BLOCK, overwrite=True))
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
    print(f"on: {', '.join(sorted(EVENTS))}; `prefect automation pause '{NAME}'` stops it")


def _remove(name: str) -> None:
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        for automation in client.read_automations_by_name(name):
            client.delete_automation(automation.id)


if __name__ == "__main__":
    typer.run(main)
