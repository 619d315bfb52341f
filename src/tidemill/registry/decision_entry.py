"""An entry of the decision log and its signature: one line, which names the hash of the line before.

Whoever writes an entry signs it: a person with their own key what they decide, the project what a form or a tag asks for,
and whoever completes a decision that was begun. Entries that were written before there were signatures have none.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from hashlib import sha256
from typing import Any

from tidemill.core.errors import TidemillError
from tidemill.registry import signing
from tidemill.registry.documents import parsed
from tidemill.registry.identity import CLAIMED, OWN_KEYS, Identity, address

FIRST = "0" * 64
"""The hash of the entry before, in the first entry."""
PROJECT = ""
"""The signer, where the project's key signed."""
UNSIGNED = "unsigned (made before entries were signed)"


@dataclass(frozen=True)
class Entry:
    """One line of the log."""

    number: int
    when: str
    """UTC, ISO 8601."""
    system: str
    action: str
    """`promote`, `reject`, `rollback`, or `withdraw`: what was begun cannot be carried out."""
    state: str
    """`begun`: decided, the alias is to be moved; `done`."""
    version: str
    """What was decided on."""
    champion_before: str | None
    champion_after: str | None
    who: str
    identity: str
    """How it is known who: see `Identity.source`."""
    why: str
    reviewed: dict[str, str]
    """sha256 of the weights, the evaluation, the lineage and the whole content that were reviewed."""
    previous: str
    """sha256 of the line before."""
    nonce: str
    """Distinguishes two processes that write the same entry at the same time."""
    signer: str | None = None
    """Address of the person whose key signed, `PROJECT`, or None where nobody did."""
    signature: dict[str, Any] | None = None
    """Of the line without this field."""

    def __str__(self) -> str:
        moved = f"champion {self.champion_before or 'none'} -> {self.champion_after or 'none'}"
        unsigned = "" if self.signature else f" [{UNSIGNED}]"
        return (
            f"{self.system}: {self.number} {self.when} {self.action} {self.version} {self.state}, {moved}, "
            f"by {self.who} ({self.identity}): {self.why}{unsigned}"
        )

    @property
    def claim(self) -> str:
        """What is to be said of who decided, where no server has checked it; empty where one has."""
        found = CLAIMED.get(self.identity)
        return f"who decided is {found}, not a proof" if found else ""

    @property
    def line(self) -> str:
        """The entry as it is stored."""
        written = {name: value for name, value in asdict(self).items() if name in FIELDS or value is not None}
        return json.dumps(written, ensure_ascii=False)

    @property
    def sha256(self) -> str:
        """The hash that the next entry names."""
        return sha256(self.line.encode()).hexdigest()

    def completes(self, begun: "Entry") -> bool:
        """Whether this says of another entry, and of nothing else, that it is done."""
        own, theirs = asdict(self), asdict(begun)
        return begun.state == "begun" and all(own[name] == theirs[name] for name in DECIDED)


FIELDS = tuple(field.name for field in fields(Entry) if field.name not in ("signer", "signature"))
"""Those that every line has."""
DECIDED = (
    *("system", "action", "version", "champion_before", "champion_after"),
    *("who", "identity", "why", "reviewed"),
)
"""What a decision is: the same when it is begun and when it is done."""


def signed(entry: Entry, by: Identity) -> Entry:
    """Return an entry with the signature of the one who writes it.

    Raises:
        TidemillError: it cannot be signed here.
    """
    named = replace(entry, signer=by.key or PROJECT, signature=None)
    return replace(named, signature=signing.sign_text(named.line, by.key))


def verify(entry: Entry, place: str) -> None:
    """Verify the signature of an entry, and that who signed may have written it.

    Raises:
        TidemillError: nobody signed it, it was changed since, or another person signed it.
    """
    if entry.signature is None or entry.signer is None:
        raise TidemillError(f"{place} is not signed")
    if entry.identity in OWN_KEYS and not _completes(entry) and entry.signer != address(entry.who):
        raise TidemillError(f"{place} is by {entry.who}, and {entry.signer or 'the project'} signed it")
    try:
        signing.verify_text(replace(entry, signature=None).line, entry.signature, entry.signer or None)
    except TidemillError as error:
        raise TidemillError(f"{place} is not what {entry.signer or 'the project'} signed: {error}") from error


def checked(lines: Sequence[str], place: str) -> list[Entry]:
    """Parse lines whose entries follow each other unbroken.

    Raises:
        TidemillError: one does not; it is named.
    """
    entries: list[Entry] = []
    for number, line in enumerate(lines, start=1):
        entry = parse(line, f"{place}: entry {number}")
        last = entries[-1] if entries else None
        if entry.number != number:
            raise TidemillError(f"{place}: entry {number} is missing, {entry.number} stands in its place")
        if entry.previous != (last.sha256 if last else FIRST):
            raise TidemillError(f"{place}: entry {number - 1} was changed after entry {number} was written")
        if _completes(entry) and not (last and entry.completes(last)):
            raise TidemillError(f"{place}: entry {number} of it was changed: it completes no decision that was begun")
        if not _follows(entry, last):
            raise TidemillError(f"{place}: entry {number} starts from another champion than entry {number - 1} left")
        if last and last.signature and not entry.signature:
            raise TidemillError(f"{place}: entry {number} is not signed, though entries before it are")
        entries.append(entry)
    return entries


def _follows(entry: Entry, last: Entry | None) -> bool:
    """Whether the champion that an entry starts from is the one that the last entry left."""
    left = last.champion_after if last else None
    if entry.action == "withdraw":
        return last is not None and last.state == "begun" and entry.champion_after == last.champion_before
    return _completes(entry) or (entry.champion_before == left and (last is None or last.state == "done"))


def _completes(entry: Entry) -> bool:
    return entry.state == "done" and entry.action not in ("reject", "withdraw")


def parse(line: str, place: str) -> Entry:
    """Parse one line.

    Raises:
        TidemillError: it is no entry, or not written as the log writes it.
    """
    entry = parsed(line, Entry, place)
    if entry.line != line:
        raise TidemillError(f"{place} is not written as the log writes it: it was changed")
    return entry
