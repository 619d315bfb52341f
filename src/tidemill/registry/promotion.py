"""Deciding: a version becomes champion, is rejected, or gives way to the one before it.

A decision is won by writing the next entry of the log (`begun`), which only one can write; then the alias is moved,
then the log says `done`. The alias follows the log: whoever finds a decision begun, since its process was killed,
verifies, admits and completes it; and who has moved the alias reads the log once more, so that a delayed process
restores no old state. What was begun and cannot be admitted is withdrawn by rejecting it.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tidemill.core.errors import TidemillError
from tidemill.registry import anchor, champion, content, decision_file
from tidemill.registry.admission import admit
from tidemill.registry.decision_entry import Entry, signed
from tidemill.registry.decision_log import DecisionLog, champion_of, earlier_champions, following
from tidemill.registry.identity import Identity
from tidemill.tracking import tags
from tidemill.tracking.store import failing_in_one_line

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion


@failing_in_one_line()
def approve(client: "MlflowClient", system: str, version: str, by: Identity, why: str) -> Entry:
    """Make a version champion; if it is already, by decision, that decision is returned.

    Raises:
        TidemillError: it may not become champion, or the champion is no longer the one it was compared with.
    """
    log, entries = _settled_log(client, system, by)
    if version == champion_of(entries):
        return next(e for e in reversed(entries) if e.champion_after == version and e.state == "begun")
    reviewed = admit(version_of(client, system, version), champion_of(entries), by)
    begun = _entry(entries, system, "promote", "begun", version, version, by, why, reviewed)
    return _carry_out(client, log, begun, by)


@failing_in_one_line()
def reject(client: "MlflowClient", system: str, version: str, by: Identity, why: str) -> Entry:
    """Reject a version: it stays in the registry, and is no longer the challenger; rejecting it again changes nothing.

    A decision that made it champion and was begun only is withdrawn, if it cannot be carried out.

    Raises:
        TidemillError: it is the champion, or there is no such version.
    """
    log, entries = _settled_log(client, system, by, withdrawing=version)
    begun = entries[-1] if entries and entries[-1].state == "begun" else None
    champion_now = begun.champion_before if begun else champion_of(entries)
    if version == champion_now:
        raise TidemillError(f"{system} {version} is the champion: `tidemill rollback {system}` takes it out of service")
    found = version_of(client, system, version)
    last = next((entry for entry in reversed(entries) if entry.version == version), None)
    if last is not None and last.action in ("reject", "withdraw"):
        written = last
    else:
        action = "withdraw" if begun else "reject"
        entry = _entry(entries, system, action, "done", version, champion_now, by, why, {})
        written = _carry_out(client, log, entry, by)
        if begun:
            put_alias(client, system, champion_now)
    if str(client.get_registered_model(system).aliases.get(tags.CHALLENGER)) == str(found.version):
        client.delete_registered_model_alias(system, tags.CHALLENGER)
    return written


@failing_in_one_line()
def rollback(client: "MlflowClient", system: str, by: Identity, why: str) -> Entry:
    """Put the champion before the present one back into service.

    Raises:
        TidemillError: there was none.
    """
    log, entries = _settled_log(client, system, by)
    earlier = earlier_champions(entries)
    if not earlier:
        raise TidemillError(f"{system}: there is no earlier champion to go back to")
    _check_reviewed(client, system, earlier[-1], entries)
    begun = _entry(entries, system, "rollback", "begun", earlier[-1], earlier[-1], by, why, {})
    return _carry_out(client, log, begun, by)


def settle(client: "MlflowClient", log: DecisionLog, by: Identity, admitted: Entry | None = None) -> list[Entry]:
    """Complete a decision that was begun, and return the log.

    Args:
        by: who completes it.
        admitted: an entry that was checked just now.

    Raises:
        TidemillError: the log cannot be believed, or the decision cannot be admitted any more.
    """
    moved: list[str | None] = []
    while entries := log.entries():
        champion.believed(log.system, entries)
        last = entries[-1]
        if last.state == "done" and (not moved or moved[-1] == last.champion_after):
            break
        if last.state == "begun" and last != admitted:
            _admit_again(client, entries)
        moved.append(last.champion_after)
        put_alias(client, log.system, last.champion_after)
        if last.state == "begun":
            done = replace(last, state="done", when=_now(), **following(entries))  # type: ignore[arg-type]
            log.append(signed(done, by))
    return entries


def put_alias(client: "MlflowClient", system: str, version: str | None) -> None:
    """Put the alias where the log has it; remove it where the log has no champion."""
    if version is not None:
        client.set_registered_model_alias(system, tags.CHAMPION, version)
    elif champion.find(client, system) is not None:
        client.delete_registered_model_alias(system, tags.CHAMPION)


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


def _admit_again(client: "MlflowClient", entries: Sequence[Entry]) -> None:
    """Check the decision that was begun last as if it were made now: it may have been begun past the rules.

    Raises:
        TidemillError: it cannot be carried out.
    """
    last = entries[-1]
    try:
        if last.signature is None:
            raise TidemillError("nobody signed it")
        if last.action == "promote":
            found = version_of(client, last.system, last.version)
            if admit(found, last.champion_before, Identity(last.who, last.identity)) != last.reviewed:
                raise TidemillError(f"{last.system} {last.version} is not what was reviewed")
        else:
            if last.version not in earlier_champions(entries[:-1])[-1:]:
                raise TidemillError(f"version {last.version} is not the champion before")
            _check_reviewed(client, last.system, last.version, entries)
    except TidemillError as error:
        raise TidemillError(
            f"{last.system}: decision {last.number} was begun and cannot be carried out: {error}; "
            f"`tidemill review reject {last.system} {last.version} --why …` withdraws it"
        ) from error


def _check_reviewed(client: "MlflowClient", system: str, version: str, entries: Sequence[Entry]) -> None:
    """Refuse an earlier champion that is not what was reviewed when it was approved."""
    with TemporaryDirectory() as scratch:
        found = content.download(version_of(client, system, version), Path(scratch))
        if differs := champion.differing(entries, version, found):
            raise TidemillError(f"{system} {version} cannot be champion again: {differs}")


def _settled_log(
    client: "MlflowClient", system: str, by: Identity, withdrawing: str | None = None
) -> tuple[DecisionLog, list[Entry]]:
    """Return the log without an open decision, once the alias agrees with it.

    Args:
        withdrawing: a version; a decision on it that cannot be carried out stays open.
    """
    log = DecisionLog(client, system)
    try:
        entries = settle(client, log, by)
    except TidemillError:
        entries = log.entries()
        champion.believed(system, entries)
        if not (entries and entries[-1].state == "begun" and entries[-1].version == withdrawing):
            raise
    stray = champion.stray_alias(client, system, entries)
    if stray:
        raise TidemillError(f"{system}: {stray}; `tidemill audit {system} --repair` puts it back")
    decision_file.append_missing(log)
    return log, entries


def _carry_out(client: "MlflowClient", log: DecisionLog, entry: Entry, by: Identity) -> Entry:
    entry = signed(entry, by)
    if not log.append(entry):
        raise TidemillError(f"{log.system}: another decision was made meanwhile, nothing was changed: review it again")
    entries = settle(client, log, by, admitted=entry)
    decision_file.append_missing(log)
    anchor.write(log.system, entries)
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
