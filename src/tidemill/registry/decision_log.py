"""The log of decisions on a system: numbered entries, each with the hash of the one before; nobody can change one.

It is kept as the params of one MLflow run. MLflow's stores, be it SQLite, PostgreSQL or a server, accept a param of a
run once and refuse any other value for it ever after: of many who write entry 7 at the same time, one succeeds.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING
from uuid import uuid4

from tidemill.core.errors import TidemillError
from tidemill.registry.decision_entry import FIRST, Entry, checked

if TYPE_CHECKING:
    from mlflow import MlflowClient

LONGEST = 6000
"""Characters that MLflow accepts for a param."""
LONGEST_REASON = 4000
EXPERIMENT = "decisions/{}"
DRAFT = "-{}"
"""The ending of its name until it is complete."""
CONTINUED = "continued in "
"""A line that is too long for one param: this and its hash; the params of that name and a number hold the line."""


class DecisionLog:
    """The log of one system in the registry."""

    def __init__(self, client: "MlflowClient", system: str) -> None:
        self.client = client
        self.system = system

    def lines(self) -> dict[str, str]:
        """Return what is stored, by number, unchecked."""
        run = self._run()
        params = dict(self.client.get_run(run).data.params) if run else {}
        return {key: _joined(value, params) for key, value in params.items() if key.isdigit()}

    def entries(self) -> list[Entry]:
        """Read and check all entries, the oldest first.

        Raises:
            TidemillError: one was changed or removed, or there is more than one log.
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
            TidemillError: its reason is too long.
        """
        from mlflow.exceptions import MlflowException

        if len(entry.why) > LONGEST_REASON:
            raise TidemillError(f"the reason is {len(entry.why)} characters long, too long for the log: shorten it")
        run, key = self._run() or self._create(), _key(entry.number)
        *before, (_, value) = _params(entry)
        for name, part in before:  # under the hash of the line, where no other line can stand
            self.client.log_param(run, name, part)
        try:
            self.client.log_param(run, key, value)
        except MlflowException:
            if key not in self.client.get_run(run).data.params:
                raise
        return bool(self.client.get_run(run).data.params[key] == value)

    def _run(self) -> str | None:
        """Return the one run that holds the log; a second one, deleted or not, could only be there to be believed instead.

        Raises:
            TidemillError: there is a second run.
        """
        from mlflow.entities import ViewType

        experiment = self.client.get_experiment_by_name(EXPERIMENT.format(self.system))
        if experiment is None:
            return None
        runs = self.client.search_runs([experiment.experiment_id], run_view_type=ViewType.ALL)
        if len(runs) != 1:
            named = ", ".join(f"{run.info.run_id} by {run.info.user_id or 'nobody named'}" for run in runs) or "none"
            raise TidemillError(
                f"{self.system}: the decision log is one run of the MLflow experiment {experiment.name}, and there "
                f"{'is' if not runs else 'are'} {named}: find out who was there, then remove what does not belong to it"
            )
        if runs[0].info.lifecycle_stage != "active" or experiment.lifecycle_stage != "active":
            raise TidemillError(f"{self.system}: the decision log was deleted in MLflow: restore {experiment.name}")
        return str(runs[0].info.run_id)

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
    before_last: list[str] = []
    for entry in entries:
        if entry.action == "withdraw":
            earlier = before_last
        elif entry.state == "begun":
            before_last = earlier.copy()
            if entry.action == "rollback":
                earlier.pop()
            elif entry.champion_before:
                earlier.append(entry.champion_before)
    return earlier


def approval_of(entries: Sequence[Entry], version: str) -> Entry | None:
    """Return the last decision that made a version champion after a review."""
    wanted = ("promote", "done", version)
    made = (entry for entry in reversed(entries) if (entry.action, entry.state, entry.version) == wanted)
    return next(made, None)


def _params(entry: Entry) -> Iterator[tuple[str, str]]:
    """Return the params that hold an entry, the one with its number last."""
    line, key = entry.line, _key(entry.number)
    if len(line) <= LONGEST:
        yield key, line
        return
    for part, start in enumerate(range(0, len(line), LONGEST)):
        yield f"{entry.sha256}.{part}", line[start : start + LONGEST]
    yield key, f"{CONTINUED}{entry.sha256}"


def _joined(value: str, params: dict[str, str]) -> str:
    if not value.startswith(CONTINUED):
        return value
    name = value.removeprefix(CONTINUED)
    parts = [params[key] for part in range(len(params)) if (key := f"{name}.{part}") in params]
    return "".join(parts)


def _key(number: int) -> str:
    return f"{number:08d}"
