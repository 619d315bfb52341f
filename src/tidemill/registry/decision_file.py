"""The decision log as a file under git: it outlives the registry, and each copy attests the other."""

from collections.abc import Sequence
from pathlib import Path

from tidemill.core.errors import TidemillError
from tidemill.core.files import finished_file
from tidemill.registry.decision_entry import Entry, checked
from tidemill.registry.decision_log import DecisionLog
from tidemill.registry.lineage import DECISIONS as FOLDER
from tidemill.tracking.store import own_folder, project_root

SUFFIX = ".jsonl"


def name(system: str) -> str:
    """Return the file's path in the project."""
    return f"{FOLDER}/{system}{SUFFIX}"


def path(system: str) -> Path:
    """Return `decisions/<system>.jsonl` of the project."""
    return project_root() / name(system)


def entries(system: str) -> list[Entry]:
    """Read and check all entries of the file; none if there is no file.

    Raises:
        TidemillError: one was changed or removed.
    """
    file = path(system)
    try:
        lines = file.read_text(encoding="utf-8").split("\n") if file.exists() else []
    except (OSError, UnicodeDecodeError) as error:
        raise TidemillError(f"{name(system)} cannot be read: {error}") from error
    return checked([line for line in lines if line], name(system))


def contradiction(system: str, own: Sequence[Entry], registry: Sequence[Entry]) -> str | None:
    """Return where the registry's log is not what the file has, and what may follow it."""
    for ours, theirs in zip(own, registry, strict=False):
        if ours.line != theirs.line:
            return f"entry {ours.number} of {name(system)} is not the one of the registry's log"
    if len(own) > len(registry):
        return (
            f"the registry's log ends before entry {len(registry) + 1} of {name(system)}: entries were removed from it"
        )
    return None


def difference(system: str, registry: Sequence[Entry]) -> str | None:
    """Return where the file and the registry's log differ, if they do."""
    file, own = name(system), entries(system)
    if found := contradiction(system, own, registry):
        return found
    if len(own) < len(registry):
        return f"{file} lacks entry {len(own) + 1} of the registry's log: `tidemill audit {system} --repair` adds it"
    return None


def append_missing(log: DecisionLog) -> None:
    """Append the entries that the file lacks; those it has must be those of the registry.

    Raises:
        TidemillError: the two differ.
    """
    from filelock import FileLock

    with FileLock(own_folder() / "decisions.lock"):
        registry, own = log.entries(), entries(log.system)
        if len(own) < len(registry):
            _check(log.system, registry[: len(own)])
            with finished_file(path(log.system)) as partial:
                partial.write_text("".join(f"{entry.line}\n" for entry in registry), encoding="utf-8")
        _check(log.system, registry)


def _check(system: str, registry: Sequence[Entry]) -> None:
    found = difference(system, registry)
    if found:
        raise TidemillError(f"{system}: {found}; see `tidemill audit {system}`")
