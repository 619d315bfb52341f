"""The log of decisions on a system: numbered entries, each with the hash of the one before; nobody can change one.

It is kept as the params of one MLflow run. MLflow's stores, be it SQLite, PostgreSQL or a server, accept a param of a
run once and refuse any other value for it ever after: of many who write entry 7 at the same time, one succeeds.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import TYPE_CHECKING
from uuid import uuid4

from tidemill.core.errors import TidemillError

if TYPE_CHECKING:
    from mlflow import MlflowClient

FIRST = "0" * 64
"""The hash of the entry before, in the first entry."""
LONGEST = 6000
"""Characters that MLflow accepts for a param."""
EXPERIMENT = "decisions/{}"
DRAFT = "-{}"
"""The ending of its name until it is complete."""


@dataclass(frozen=True)
class Entry:
    """One line of the log."""

    number: int
    when: str
    """UTC, ISO 8601."""
    system: str
    action: str
    """`promote`, `reject` or `rollback`."""
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
    """sha256 of the weights, the evaluation and the lineage that were reviewed."""
    previous: str
    """sha256 of the line before."""
    nonce: str
    """Distinguishes two processes that write the same entry at the same time."""

    def __str__(self) -> str:
        moved = f"champion {self.champion_before or 'none'} -> {self.champion_after or 'none'}"
        return (
            f"{self.system}: {self.number} {self.when} {self.action} {self.version} {self.state}, {moved}, "
            f"by {self.who} ({self.identity}): {self.why}"
        )

    @property
    def line(self) -> str:
        """The entry as it is stored."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @property
    def sha256(self) -> str:
        """The hash that the next entry names."""
        return sha256(self.line.encode()).hexdigest()


class DecisionLog:
    """The log of one system in the registry."""

    def __init__(self, client: "MlflowClient", system: str) -> None:
        self.client = client
        self.system = system

    def lines(self) -> dict[str, str]:
        """Return what is stored, by number, unchecked."""
        run = self._run()
        return dict(self.client.get_run(run).data.params) if run else {}

    def entries(self) -> list[Entry]:
        """Read and check all entries, the oldest first.

        Raises:
            TidemillError: one was changed or removed.
        """
        stored = self.lines()
        numbers = sorted(stored)
        expected = [_key(number) for number in range(1, len(numbers) + 1)]
        missing = next((key for key in expected if key not in stored), None)
        if missing:
            raise TidemillError(f"{self.system}: entry {int(missing)} was removed from the registry's decision log")
        return checked([stored[number] for number in numbers], f"{self.system}: the registry's decision log")

    def append(self, entry: Entry) -> bool:
        """Write an entry; return False if another has taken its number.

        Raises:
            TidemillError: it is longer than the store accepts.
        """
        from mlflow.exceptions import MlflowException

        if len(entry.line) > LONGEST:
            raise TidemillError(f"the reason is {len(entry.why)} characters long, too long for the log: shorten it")
        run, key = self._run() or self._create(), _key(entry.number)
        try:
            self.client.log_param(run, key, entry.line)
        except MlflowException:
            if key not in self.client.get_run(run).data.params:
                raise
        return bool(self.client.get_run(run).data.params[key] == entry.line)

    def _run(self) -> str | None:
        experiment = self.client.get_experiment_by_name(EXPERIMENT.format(self.system))
        if experiment is None:
            return None
        return str(self.client.search_runs([experiment.experiment_id])[0].info.run_id)

    def _create(self) -> str:
        """Create the run in an experiment of any name, then rename that: only one experiment can have the right name."""
        from mlflow.exceptions import MlflowException

        name = EXPERIMENT.format(self.system)
        draft = self.client.create_experiment(name + DRAFT.format(uuid4().hex))
        self.client.create_run(draft, run_name=name)
        try:
            self.client.rename_experiment(draft, name)
        except MlflowException:
            self.client.delete_experiment(draft)
        run = self._run()
        if run is None:
            raise TidemillError(f"{self.system}: the decision log could not be created; was {name} deleted in MLflow?")
        return run


def following(entries: Sequence[Entry]) -> dict[str, object]:
    """Return the fields of the next entry that follow from those before it, and its nonce."""
    last = entries[-1] if entries else None
    return {"number": len(entries) + 1, "previous": last.sha256 if last else FIRST, "nonce": uuid4().hex}


def champion_of(entries: Sequence[Entry]) -> str | None:
    """Return the version that is in service according to the log."""
    return entries[-1].champion_after if entries else None


def earlier_champions(entries: Sequence[Entry]) -> list[str]:
    """Return the earlier champions, the one to roll back to last: a promotion adds one, a rollback removes one."""
    earlier: list[str] = []
    for entry in entries:
        if entry.state == "begun" and entry.action == "promote" and entry.champion_before:
            earlier.append(entry.champion_before)
        elif entry.state == "begun" and entry.action == "rollback":
            earlier.pop()
    return earlier


def checked(lines: Sequence[str], place: str) -> list[Entry]:
    """Parse lines whose entries follow each other unbroken.

    Raises:
        TidemillError: one does not; it is named.
    """
    entries: list[Entry] = []
    for number, line in enumerate(lines, start=1):
        entry = _parsed(line, f"{place}: entry {number}")
        last = entries[-1] if entries else None
        if entry.number != number:
            raise TidemillError(f"{place}: entry {number} is missing, {entry.number} stands in its place")
        if entry.previous != (last.sha256 if last else FIRST):
            raise TidemillError(f"{place}: entry {number - 1} was changed after entry {number} was written")
        before = entry.champion_after if entry.state == "done" else entry.champion_before
        if before != champion_of(entries):
            raise TidemillError(f"{place}: entry {number} starts from another champion than entry {number - 1} left")
        entries.append(entry)
    return entries


def _parsed(line: str, place: str) -> Entry:
    try:
        entry = Entry(**json.loads(line))
    except (ValueError, TypeError) as error:
        raise TidemillError(f"{place} cannot be read: {error}") from error
    if entry.line != line:
        raise TidemillError(f"{place} is not written as the log writes it: it was changed")
    return entry


def _key(number: int) -> str:
    return f"{number:08d}"
