"""Limits of a YAML text, checked on its events, before any value is made of it.

A few lines of aliases to aliases stand for more values than any memory holds, and deep nesting ends the process.
"""

from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, NodeEvent

from tidemill.core.errors import TidemillError

DEEPEST = 100
"""Levels of lists and mappings in one another."""
MOST = 1_000_000
"""Values, those that aliases repeat counted each time."""


def check(text: str, where: str) -> None:
    """Refuse a text beyond the limits.

    Raises:
        TidemillError: it is nested too deeply, stands for too many values, or has an alias of what holds it.
        YAMLError: it is not YAML.
    """
    sizes: dict[str, int] = {}
    open_: list[tuple[str | None, int]] = [(None, 0)]
    for event in YAML(typ="safe").parse(text):
        anchor, size = _node(event, sizes, where)
        if isinstance(event, CollectionStartEvent):
            open_.append((anchor, 1))
        elif isinstance(event, CollectionEndEvent):
            anchor, size = open_.pop()
        if not isinstance(event, CollectionStartEvent):
            _remember(sizes, anchor, size)
            outer, count = open_[-1]
            open_[-1] = (outer, count + size)
        if open_[-1][1] > MOST:
            raise TidemillError(f"{where}: it stands for more than {MOST:,} values: write them out, without aliases")
        if len(open_) > DEEPEST:
            raise TidemillError(f"{where}: more than {DEEPEST} lists and mappings in one another")


def _node(event: Any, sizes: dict[str, int], where: str) -> tuple[str | None, int]:
    """Return the anchor of a node and how many values it stands for; of other events, none."""
    if isinstance(event, AliasEvent):
        if event.anchor not in sizes:
            raise TidemillError(f"{where}: the alias *{event.anchor} stands for what holds it, or for nothing")
        return None, sizes[event.anchor]
    return (event.anchor, 1) if isinstance(event, NodeEvent) else (None, 0)


def _remember(sizes: dict[str, int], anchor: str | None, size: int) -> None:
    if anchor is not None:
        sizes[anchor] = size
