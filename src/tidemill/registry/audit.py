"""Verifying the decision log: its signatures, its copies, the alias, and the files of what it has in service."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tidemill.core.errors import TidemillError
from tidemill.registry import anchor, champion, content, decision_file, decision_history, statement
from tidemill.registry.decision_entry import UNSIGNED, Entry
from tidemill.registry.decision_log import DecisionLog, champion_of, earlier_champions
from tidemill.registry.identity import Identity, identity
from tidemill.registry.promotion import put_alias, settle, version_of

if TYPE_CHECKING:
    from mlflow import MlflowClient


def systems(client: "MlflowClient") -> list[str]:
    """Return every system of which the registry, a file, git or the anchor knows a decision or a version."""
    known = {str(model.name) for model in client.search_registered_models()}
    return sorted(known | decision_history.systems() | anchor.systems())


def audit(client: "MlflowClient", system: str) -> tuple[list[Entry], list[str]]:
    """Return the entries of a system's log that can be read, and everything that is wrong, one line each."""
    try:
        entries = DecisionLog(client, system).entries()
    except TidemillError as error:
        return [], [str(error)]
    checks: list[Callable[[], str | None]] = [
        partial(_open_ended, entries),
        partial(champion.stray_alias, client, system, entries),
        partial(decision_file.difference, system, entries),
        partial(decision_history.difference, system, entries),
        partial(anchor.difference, system, entries),
        *(partial(_unvouched, system, entry) for entry in entries),
        *(partial(_changed, client, entries, number) for number in _champions(entries)),
    ]
    return entries, [line for check in checks if (line := _found(check))]


def notes(client: "MlflowClient", system: str, entries: Sequence[Entry]) -> list[str]:
    """Return what is not wrong, and still to be known: what was never signed, and who was never checked."""
    found = []
    unsigned = sum(entry.signature is None for entry in entries)
    if unsigned:
        found.append(f"{unsigned} of {len(entries)} entries are {UNSIGNED}")
    claimed = sorted({entry.identity for entry in entries} - {"server"})
    if claimed:
        found.append(f"who decided is a claim, not a proof: {', '.join(claimed)}")
    return [*found, *filter(None, [_found(partial(_model_only, client, system, entries))])]


def _model_only(client: "MlflowClient", system: str, entries: Sequence[Entry]) -> str | None:
    number = champion_of(entries)
    if number is None or statement.of(version_of(client, system, number)) is not None:
        return None
    return f"champion {number} is {content.MODEL_ONLY}"


def repair(client: "MlflowClient", system: str, by: Identity | None = None) -> None:
    """Complete a decision that was begun, put the alias where the log has it, and add to the copies what they lack.

    Raises:
        TidemillError: an entry was changed or removed; only the untouched copy can repair that.
    """
    log = DecisionLog(client, system)
    entries = log.entries()
    if entries and entries[-1].state == "begun":
        entries = settle(client, log, by or identity())
    champion.believed(system, entries)
    put_alias(client, system, champion_of(entries))
    decision_file.append_missing(log)
    anchor.write(system, entries)


def _found(check: Callable[[], str | None]) -> str | None:
    try:
        return check()
    except TidemillError as error:
        return str(error)


def _open_ended(entries: Sequence[Entry]) -> str | None:
    if not entries or entries[-1].state != "begun":
        return None
    return f"decision {entries[-1].number} was begun and not completed: `--repair` completes it"


def _unvouched(system: str, entry: Entry) -> None:
    champion.vouched(system, entry, len(decision_file.entries(system)))


def _champions(entries: Sequence[Entry]) -> list[str]:
    """Return the version in service, and those that a rollback could return to."""
    return [*dict.fromkeys(filter(None, [champion.served(entries), *earlier_champions(entries)]))]


def _changed(client: "MlflowClient", entries: Sequence[Entry], number: str) -> str | None:
    """Open the files of a version, and hold them against what was reviewed."""
    with TemporaryDirectory() as scratch:
        found = content.download(version_of(client, entries[0].system, number), Path(scratch))
        differs = champion.differing(entries, number, found)
    return f"version {number}: {differs}" if differs else None
