"""Events that flows emit on Prefect's server, for automations such as that of `tidemill notify`."""

from typing import Any

PROPOSED = "tidemill.proposed"
"""A version waits for its review."""
DRIFT = "tidemill.drift"
"""New inputs have passed a limit of `monitor`."""

REFUSED = "tidemill.refused"
"""A run was cancelled because its deployment had as many as it may have at once."""


def emit(event: str, name: str, payload: dict[str, Any]) -> None:
    """Emit an event about a system or a deployment.

    Args:
        event: one of those above.
        name: of the system, or of the deployment.
        payload: what a notification lists.
    """
    from prefect.events import emit_event

    kind = "deployment" if event == REFUSED else "system"
    resource = {"prefect.resource.id": f"tidemill.{kind}.{name}", "prefect.resource.name": name}
    emit_event(event, resource, payload=payload)
