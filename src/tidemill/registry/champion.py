"""The version in service: the one that the decision log names, whose entries verify. MLflow's alias only follows it."""

import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING

from tidemill.core.errors import TidemillError
from tidemill.registry import decision_entry, decision_file, versions
from tidemill.registry.content import Content
from tidemill.registry.decision_entry import Entry
from tidemill.registry.decision_log import DecisionLog, approval_of, champion_of
from tidemill.tracking import tags
from tidemill.tracking.store import connect

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

NO_CHAMPION = "none"
Tell = Callable[[str], None]


def to_errors(line: str) -> None:
    """Tell on standard error."""
    print(line, file=sys.stderr, flush=True)


def find(client: "MlflowClient", name: str) -> "ModelVersion | None":
    """Return the version that the alias names, by decision or not: see `by_log`."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(name, tags.CHAMPION)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):  # no such model, no such alias
            return None
        raise


def resolve(address: str, tell: Tell = to_errors) -> "ModelVersion":
    """Return the version that `models:/name/number` or `models:/name@alias` names; `@champion` is what was decided.

    Args:
        tell: receives a line where the alias `champion` is not where the log put it; the log is followed.

    Raises:
        TidemillError: there is no such version, nobody decided on a champion, or the log cannot be believed.
    """
    parts = versions.ADDRESS.fullmatch(address)
    if parts is None or parts["alias"] != tags.CHAMPION:
        return versions.find(address)
    system = parts["name"]
    found = by_log(connect(), system, tell)
    if found is not None:
        return found
    raised = versions.find(address)  # says so where there is no alias either
    raise TidemillError(
        f"{address}: nobody decided that version {raised.version}, where the alias is, becomes champion: "
        f"`tidemill review approve {system} {raised.version}`, or name models:/{system}/{raised.version}"
    )


def by_log(client: "MlflowClient", system: str, tell: Tell = to_errors) -> "ModelVersion | None":
    """Return the version of a system that is in service by decision.

    Raises:
        TidemillError: the log cannot be believed, or the registry lacks the version.
    """
    entries = DecisionLog(client, system).entries()
    if not entries and find(client, system) is None:
        return None
    believed(system, entries)
    number = served(entries)
    if stray := stray_alias(client, system, entries):
        tell(f"{system}: {stray}, which is followed; `tidemill audit {system} --repair` puts the alias back")
    return versions.find(f"models:/{system}/{number}") if number else None


def check(version: "ModelVersion", content: Content) -> None:
    """Hold the files of the champion against what was reviewed when it was approved; other versions pass.

    A log that cannot be read stops `@champion`, and no version that is named by its number.

    Raises:
        TidemillError: they are others.
    """
    try:
        entries = DecisionLog(connect(), str(version.name)).entries()
    except TidemillError:
        return
    if str(version.version) == served(entries) and (found := differing(entries, str(version.version), content)):
        raise TidemillError(f"models:/{version.name}/{version.version}: {found}: see `tidemill audit {version.name}`")


def differing(entries: Sequence[Entry], version: str, content: Content) -> str | None:
    """Say which part of a version is not what was reviewed when it was approved."""
    approval, now = approval_of(entries, version), content.hashes()
    if approval is None:
        return "no decision approved it"
    parts = [part for part, hashed in approval.reviewed.items() if now.get(part) != hashed]
    return f"its {parts[0]} is not what was reviewed in decision {approval.number}" if parts else None


def served(entries: Sequence[Entry]) -> str | None:
    """Return the version that serves: until a decision is done, the one before it."""
    if entries and entries[-1].state == "begun":
        return entries[-1].champion_before
    return champion_of(entries)


def believed(system: str, entries: Sequence[Entry]) -> None:
    """Check that everybody who is trusted vouches for a log: by a signature, or for old entries the file under git.

    Raises:
        TidemillError: an entry is signed by nobody trusted, or is not the one of the file.
    """
    own = decision_file.entries(system)
    if difference := decision_file.contradiction(system, own, entries):
        raise TidemillError(f"{system}: {difference}; see `tidemill audit {system}`")
    for entry in entries:
        vouched(system, entry, len(own))


def vouched(system: str, entry: Entry, in_file: int) -> None:
    """Check one entry.

    Args:
        in_file: how many entries the file has; these count without a signature, too.

    Raises:
        TidemillError: it is signed by nobody trusted.
    """
    if entry.signature is not None:
        _verified(system, entry.line)
    elif entry.number > in_file:
        raise TidemillError(
            f"{system}: decision {entry.number} is not signed, and {decision_file.name(system)} does not have it: "
            "nothing vouches for it; take that file from git, where the decision is in it"
        )


@cache
def _verified(system: str, line: str) -> None:
    """Verify a signed entry, each once in a process."""
    entry = decision_entry.parse(line, f"{system}: a decision")
    decision_entry.verify(entry, f"{system}: decision {entry.number}")


def stray_alias(client: "MlflowClient", system: str, entries: Sequence[Entry]) -> str | None:
    """Describe what is wrong with the alias, if it is not where the log put it."""
    found = find(client, system)
    here, by_log = str(found.version) if found else None, champion_of(entries)
    if here == by_log or (entries and entries[-1].state == "begun" and here == entries[-1].champion_before):
        return None
    return f"the alias {tags.CHAMPION} is at {here or 'no version'} without a decision; by the log it belongs to {by_log or 'none'}"
