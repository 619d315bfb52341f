"""Plug-ins found by name: `format: idx` is `tidemill/formats/idx.py`, `model.name: lstm` is `tidemill/models/lstm/`.

This is the only place that imports a module by a name from `params.yaml` or from a saved model.
"""

import importlib
import pkgutil
from typing import Any

from tidemill.core.errors import TidemillError
from tidemill.core.params import PARAMS_FILE, nearest

SHARED = "common"
"""The package of a room that holds what its plug-ins share."""


def names(room: str) -> list[str]:
    """Return the names of the plug-ins in a room, e.g. `names("tasks")`."""
    package = importlib.import_module(f"tidemill.{room}")
    found = (module.name for module in pkgutil.iter_modules(package.__path__))
    return sorted(name for name in found if name != SHARED and not name.startswith("_"))


def load(room: str, name: str, part: str = "") -> Any:
    """Import a plug-in, or one module of it: `load("tasks", "text_classification", "learning")`.

    Raises:
        TidemillError: the plug-in has no such part.
    """
    module = ".".join(filter(None, ("tidemill", room, name, part)))
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise
        raise TidemillError(f"{room}/{name} has no {part or 'module'}: {error.name} is missing") from error


def check_name(room: str, name: Any, where: str) -> str:
    """Return the name of a plug-in if there is one.

    Args:
        where: the dotted path of the name in `params.yaml`, for the message.

    Raises:
        TidemillError: there is none; the nearest name is given.
    """
    known = names(room)
    if name not in known:
        raise TidemillError(f"{PARAMS_FILE}: {where}: no {name!r}{nearest(str(name), known)}")
    return str(name)
