"""The decision log as a file under git: it outlives the registry, and each copy attests the other."""

from collections.abc import Sequence
from pathlib import Path

from tidemill.core.errors import TidemillError
from tidemill.core.files import finished_file
from tidemill.registry.decision_log import DecisionLog, Entry, checked
from tidemill.registry.lineage import DECISIONS as FOLDER
from tidemill.tracking.store import project_root, store_folder


def path(system: str) -> Path:
    """Return `decisions/<system>.jsonl` of the project."""
    return project_root() / FOLDER / f"{system}.jsonl"


def entries(system: str) -> list[Entry]:
    """Read and check all entries of the file; none if there is no file.

    Raises:
        TidemillError: one was changed or removed.
    """
    file = path(system)
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return checked(lines, f"{FOLDER}/{file.name}")


def difference(system: str, registry: Sequence[Entry]) -> str | None:
    """Return where the file and the registry's log differ, if they do."""
    file = f"{FOLDER}/{system}.jsonl"
    own = entries(system)
    for ours, theirs in zip(own, registry, strict=False):
        if ours.line != theirs.line:
            return f"entry {ours.number} of {file} is not the one of the registry's log"
    if len(own) > len(registry):
        return f"the registry's log ends before entry {len(registry) + 1} of {file}: entries were removed from it"
    if len(own) < len(registry):
        return f"{file} lacks entry {len(own) + 1} of the registry's log: `tidemill audit {system} --repair` adds it"
    return None


def append_missing(log: DecisionLog) -> None:
    """Append the entries that the file lacks; those it has must be those of the registry.

    Raises:
        TidemillError: the two differ.
    """
    from filelock import FileLock

    lock = store_folder().parent / "decisions.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
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
