"""Why DVC would run a stage, in words."""

from collections.abc import Iterator
from typing import Any


def reasons_to_run(stage: Any, allow_missing: bool) -> Iterator[str]:
    """Put into words what DVC's status says of a stage; with `allow_missing`, data that are not there are no reason."""
    if stage.cmd and not stage.outs and not stage.deps:
        yield "always runs: it names no dependency and no output"
        return
    if _never_ran(stage):
        yield "never run"
        return
    for entry in stage.status().get(stage.addressing, ()):
        if isinstance(entry, str):
            yield _WORDS.get(entry, entry)
        else:
            for kind, changes in entry.items():
                yield from _changes(_without_missing(kind, changes) if allow_missing else changes)


_WORDS = {
    "changed command": "its command changed",
    "always changed": "always runs (always_changed)",
}


def _without_missing(kind: str, changes: dict[str, Any]) -> dict[str, Any]:
    """Drop what is only not there."""
    missing = ("deleted", "not in cache") if kind == "changed outs" else ("deleted",)
    return {path: change for path, change in changes.items() if change not in missing}


def _changes(changes: dict[str, Any]) -> Iterator[str]:
    for path, change in changes.items():
        if isinstance(change, dict):  # a params file: the state of each param
            yield from (f"{path}: {param} {state}" for param, state in change.items())
        else:
            yield f"{path} {change}"


def _never_ran(stage: Any) -> bool:
    return bool(stage.cmd) and not any(item.hash_info for item in (*stage.deps, *stage.outs))
