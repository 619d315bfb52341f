"""Deciding: a version becomes champion, is rejected, or gives way to the one before it.

A decision is won by writing the next entry of the log (`begun`), which only one can write; then the alias is moved,
then the log says `done`. The alias follows the log: whoever finds a decision begun, since its process was killed,
completes it; and who has moved the alias reads the log once more, so that a delayed process restores no old state.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tidemill.core.errors import TidemillError
from tidemill.registry import decision_file, signing
from tidemill.registry.admission import admit
from tidemill.registry.champion import find
from tidemill.registry.decision_log import DecisionLog, Entry, champion_of, earlier_champions, following
from tidemill.registry.identity import Identity
from tidemill.tracking import tags

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion


def approve(client: "MlflowClient", system: str, version: str, by: Identity, why: str) -> Entry:
    """Make a version champion; if it is already, by decision, that decision is returned.

    Raises:
        TidemillError: it may not become champion, or the champion is no longer the one it was compared with.
    """
    log, entries = _settled_log(client, system)
    if version == champion_of(entries):
        return next(e for e in reversed(entries) if e.champion_after == version and e.state == "begun")
    reviewed = admit(version_of(client, system, version), champion_of(entries), by)
    begun = _entry(entries, system, "promote", "begun", version, version, by, why, reviewed)
    return _carry_out(client, log, begun)


def reject(client: "MlflowClient", system: str, version: str, by: Identity, why: str) -> Entry:
    """Reject a version: it stays in the registry, and is no longer the challenger; rejecting it again changes nothing.

    Raises:
        TidemillError: it is the champion, or there is no such version.
    """
    log, entries = _settled_log(client, system)
    champion = champion_of(entries)
    if version == champion:
        raise TidemillError(f"{system} {version} is the champion: `tidemill rollback {system}` takes it out of service")
    found = version_of(client, system, version)
    last = next((entry for entry in reversed(entries) if entry.version == version), None)
    if last is not None and last.action == "reject":
        written = last
    else:
        written = _carry_out(client, log, _entry(entries, system, "reject", "done", version, champion, by, why, {}))
    if str(client.get_registered_model(system).aliases.get(tags.CHALLENGER)) == str(found.version):
        client.delete_registered_model_alias(system, tags.CHALLENGER)
    return written


def rollback(client: "MlflowClient", system: str, by: Identity, why: str) -> Entry:
    """Put the champion before the present one back into service.

    Raises:
        TidemillError: there was none.
    """
    log, entries = _settled_log(client, system)
    earlier = earlier_champions(entries)
    if not earlier:
        raise TidemillError(f"{system}: there is no earlier champion to go back to")
    with TemporaryDirectory() as scratch:
        signing.download(version_of(client, system, earlier[-1]), Path(scratch))
    return _carry_out(client, log, _entry(entries, system, "rollback", "begun", earlier[-1], earlier[-1], by, why, {}))


def settle(client: "MlflowClient", log: DecisionLog) -> list[Entry]:
    """Complete a decision that was begun, and return the log."""
    moved: str | None = None
    while entries := log.entries():
        last = entries[-1]
        if last.state == "done" and moved in (None, last.champion_after):
            break
        moved = last.champion_after
        if moved is not None:  # only before the first promotion, when there is nothing to move
            client.set_registered_model_alias(log.system, tags.CHAMPION, moved)
        if last.state == "begun":
            log.append(replace(last, state="done", when=_now(), **following(entries)))  # type: ignore[arg-type]
    return entries


def version_of(client: "MlflowClient", system: str, version: str) -> "ModelVersion":
    """Return a version by its number.

    Raises:
        TidemillError: there is none.
    """
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version(system, version)
    except MlflowException as error:
        raise TidemillError(
            f"the registry has no {system} {version}: `tidemill review list` shows what it has"
        ) from error


def stray_alias(client: "MlflowClient", system: str, entries: Sequence[Entry]) -> str | None:
    """Describe what is wrong with the alias, if it is not where the log put it."""
    found = find(client, system)
    here, by_log = str(found.version) if found else None, champion_of(entries)
    if here == by_log or (entries and entries[-1].state == "begun" and here == entries[-1].champion_before):
        return None
    return f"the alias {tags.CHAMPION} is at {here or 'no version'} without a decision; by the log it belongs to {by_log or 'none'}"


def _settled_log(client: "MlflowClient", system: str) -> tuple[DecisionLog, list[Entry]]:
    """Return the log without an open decision, once the alias agrees with it."""
    log = DecisionLog(client, system)
    entries = settle(client, log)
    stray = stray_alias(client, system, entries)
    if stray:
        raise TidemillError(f"{system}: {stray}; `tidemill audit {system} --repair` puts it back")
    decision_file.append_missing(log)
    return log, entries


def _carry_out(client: "MlflowClient", log: DecisionLog, entry: Entry) -> Entry:
    if not log.append(entry):
        raise TidemillError(f"{log.system}: another decision was made meanwhile, nothing was changed: review it again")
    settle(client, log)
    decision_file.append_missing(log)
    return entry


def _entry(
    entries: Sequence[Entry],
    system: str,
    action: str,
    state: str,
    version: str,
    after: str | None,
    by: Identity,
    why: str,
    reviewed: dict[str, str],
) -> Entry:
    if not why.strip():
        raise TidemillError("a decision needs a reason: say why in a sentence")
    chain: dict[str, Any] = following(entries)
    return Entry(
        when=_now(),
        system=system,
        action=action,
        state=state,
        version=version,
        champion_before=champion_of(entries),
        champion_after=after,
        who=by.who,
        identity=by.source,
        why=why.strip(),
        reviewed=reviewed,
        **chain,
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
