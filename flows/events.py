"""Events that flows emit on Prefect's server, for automations such as that of `tidemill notify`."""

from typing import Any

PROPOSED = "tidemill.proposed"
"""A version waits for its review."""
DRIFT = "tidemill.drift"
"""New inputs have passed a limit of `monitor`."""


def emit(event: str, system: str, payload: dict[str, Any]) -> None:
    """Emit an event about a system.

    Args:
        event: `PROPOSED` or `DRIFT`.
        payload: what a notification lists.
    """
    from prefect.events import emit_event

    resource = {"prefect.resource.id": f"tidemill.system.{system}", "prefect.resource.name": system}
    emit_event(event, resource, payload=payload)
