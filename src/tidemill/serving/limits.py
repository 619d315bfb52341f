"""The limits of a service: those of the system's params, and those of the command line instead."""

from typing import Any

from pydantic import ValidationError

from tidemill.core.errors import TidemillError
from tidemill.core.params import PARAMS_FILE, checked, nearest, read_yaml
from tidemill.registry.versions import ADDRESS
from tidemill.serving.params import Serve


def of(address: str, given: dict[str, Any]) -> Serve:
    """Return the limits for serving a version.

    Args:
        address: the version; `params.yaml` may have limits as `systems.<name>.serve`, where there is such a file at all.
        given: other values, by the names of the limits.

    Raises:
        TidemillError: a limit does not exist, or its value is not one.
    """
    limits = _of_system(address)
    try:
        return Serve.model_validate(limits.model_dump() | given)
    except ValidationError as error:
        detail = error.errors()[0]
        name = str(detail["loc"][0])
        if detail["type"] == "extra_forbidden":
            raise TidemillError(f"--limit: no limit {name!r}{nearest(name, Serve.model_fields)}") from error
        raise TidemillError(f"--limit {name}: {detail['msg']}, not {detail['input']!r}") from error


def _of_system(address: str) -> Serve:
    parts = ADDRESS.fullmatch(address)
    raw = read_yaml(PARAMS_FILE) if PARAMS_FILE.exists() else None
    systems = raw.get("systems") if isinstance(raw, dict) else None
    name = parts["name"] if parts else ""
    system = systems.get(name) if isinstance(systems, dict) else None
    if not isinstance(system, dict) or system.get("serve") is None:
        return Serve()
    return checked(Serve, system["serve"], f"systems.{name}.serve")
