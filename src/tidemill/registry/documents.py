"""JSON that somebody else may have written: read whole, of the expected type, or one clear line."""

import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from tidemill.core.errors import TidemillError

T = TypeVar("T")


def parsed(text: str, kind: type[T], place: str) -> T:
    """Parse JSON as a dataclass whose every field has its type; further fields are refused.

    Raises:
        TidemillError: it is not that, or nested too deeply to be.
    """
    try:
        return TypeAdapter(kind).validate_json(text, strict=True, extra="forbid")
    except ValidationError as error:
        raise TidemillError(f"{place} cannot be read: {_first(error)}") from error


def check_types(document: dict[str, Any], kind: Any, place: str) -> None:
    """Check that each part of a document has its type.

    Raises:
        TidemillError: one has another.
    """
    try:
        TypeAdapter(kind).validate_json(json.dumps(document), strict=True)
    except ValidationError as error:
        raise TidemillError(f"{place} cannot be read: {_first(error)}") from error


def read_object(path: Path, place: str) -> dict[str, Any]:
    """Read a JSON file that must hold an object.

    Raises:
        TidemillError: it is missing, malformed, nested too deeply, or holds something else.
    """
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise TidemillError(f"{place} cannot be read: {type(error).__name__}: {error}") from error
    if not isinstance(found, dict):
        raise TidemillError(f"{place} holds no JSON object")
    return found


def _first(error: ValidationError) -> str:
    [first, *_] = error.errors(include_url=False)
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else first["msg"]
