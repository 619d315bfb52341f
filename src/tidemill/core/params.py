"""Params of `params.yaml`: the base of every block, and reading a block so that each mistake is named."""

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from tidemill.core.errors import TidemillError

PARAMS_FILE = Path("params.yaml")

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]


class Params(BaseModel):
    """Base of every params block: no unknown names, no silent conversion of types, frozen once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


Block = TypeVar("Block", bound=Params)


def read_yaml(path: Path) -> Any:
    """Read a YAML file as plain values.

    Raises:
        TidemillError: the file is missing, is not YAML, or stands for far more values than it is long.
    """
    from ruamel.yaml import YAML  # YAML 1.2, as DVC reads it: `1e-3` is a number
    from ruamel.yaml.error import YAMLError

    from tidemill.core import yaml_limits

    try:
        text = path.read_text(encoding="utf-8")
        yaml_limits.check(text, str(path))
        return YAML(typ="safe").load(text)
    except FileNotFoundError as error:
        raise TidemillError(f"{path} is missing: run this from the folder that holds it") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise TidemillError(f"{path} is not YAML: {' '.join(str(error).split())}") from error


def read_system(name: str, path: Path = PARAMS_FILE) -> dict[str, Any]:
    """Read the blocks of one system as they stand in `params.yaml`.

    Raises:
        TidemillError: the file is missing or is not YAML, or there is no system of that name.
    """
    raw = read_yaml(path)
    systems = raw.get("systems") if isinstance(raw, dict) else None
    if not isinstance(systems, dict):
        raise TidemillError(f"{path}: systems is missing, or is no mapping of systems by name")
    if name not in systems:
        raise TidemillError(f"{path}: no system {name!r}{nearest(name, systems)}")
    if not isinstance(systems[name], dict):
        raise TidemillError(f"{path}: systems.{name} is no mapping of blocks")
    return dict(systems[name])


def read_block(system: Mapping[str, Any], name: str, part: str, kind: type[Block]) -> Block:
    """Check one block of a system that `read_system` returned.

    Raises:
        TidemillError: the block is missing, or as `checked`.
    """
    if part not in system:
        raise TidemillError(f"{PARAMS_FILE}: systems.{name}.{part} is missing (write `{part}: {{}}` for its defaults)")
    return checked(kind, system[part], f"systems.{name}.{part}")


def checked(block: type[Block], value: Any, where: str) -> Block:
    """Check a value against the block that it should be.

    Args:
        where: the dotted path of the value in `params.yaml`, for messages; empty for the whole file.

    Raises:
        TidemillError: a param is unknown, missing or of a wrong type; every mistake is named with its path and, for a
            misspelt name, the nearest valid one.
    """
    try:
        return block.model_validate(value)
    except ValidationError as error:
        mistakes = [_mistake(block, dict(detail), where) for detail in error.errors()]
        raise TidemillError(f"{PARAMS_FILE}: " + "; ".join(mistakes)) from error


def nearest(name: str, names: Iterable[str]) -> str:
    """Return what to add to a message about an unknown name: the nearest one that exists, or all there are."""
    near = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; there are: {', '.join(sorted(names))}"


def flattened(params: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested params by dotted path: `{"schedule": {"name": "fixed"}}` is `{"schedule.name": "fixed"}`."""
    leaves: dict[str, Any] = {}
    for name, value in params.items():
        path = f"{prefix}.{name}" if prefix else str(name)
        leaves |= flattened(value, path) if isinstance(value, Mapping) and value else {path: value}
    return leaves


def _mistake(block: type[BaseModel], detail: dict[str, Any], where: str) -> str:
    location = [str(part) for part in detail["loc"]]
    path = ".".join(([where] if where else []) + location) or "the file"
    if detail["type"] == "extra_forbidden":
        return f"{path}: no such param{nearest(location[-1], _known_names(block, location[:-1]))}"
    if detail["type"] == "missing":
        hint = f" (write `{location[-1]}: {{}}` where its defaults will do)" if _is_block(block, location) else ""
        return f"{path} is missing{hint}"
    return f"{path}: {detail['msg'][0].lower()}{detail['msg'][1:]}, not {detail['input']!r}"


def _known_names(block: type[BaseModel], location: list[str]) -> list[str]:
    """Names allowed at a place in a block."""
    return [field.alias or name for kind in _blocks_at(block, location) for name, field in kind.model_fields.items()]


def _is_block(block: type[BaseModel], location: list[str]) -> bool:
    """Whether a param holds further params, be it those of a plug-in."""
    *outer, name = location
    kinds = [field.annotation for field in _fields(_blocks_at(block, outer), name)]
    return any(kind is Any or _blocks(kind) for kind in kinds)


def _blocks_at(block: type[BaseModel], location: list[str]) -> list[type[BaseModel]]:
    """Blocks at a place in a block, found by following its fields."""
    blocks = [block]
    for part in location:
        # an index of a list or the name of a system is no field: what is allowed there is known already
        blocks = [inner for field in _fields(blocks, part) for inner in _blocks(field.annotation)] or blocks
    return blocks


def _fields(blocks: list[type[BaseModel]], name: str) -> list[FieldInfo]:
    return [field for kind in blocks for own, field in kind.model_fields.items() if name in (own, field.alias)]


def _blocks(annotation: Any) -> list[type[BaseModel]]:
    """Blocks that a type may hold: itself, or inside a union, list or mapping."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [inner for part in get_args(annotation) for inner in _blocks(part)]
