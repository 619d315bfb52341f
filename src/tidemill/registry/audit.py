"""Verifying the decision log: in the registry, in its file under git, and against the alias as it stands."""

from typing import TYPE_CHECKING

from tidemill.core.errors import TidemillError
from tidemill.registry import decision_file
from tidemill.registry.decision_log import DecisionLog, Entry, champion_of
from tidemill.registry.promotion import settle, stray_alias
from tidemill.tracking import tags

if TYPE_CHECKING:
    from mlflow import MlflowClient


def audit(client: "MlflowClient", system: str) -> tuple[list[Entry], list[str]]:
    """Return the entries of a system's log that can be read, and everything that is wrong, one line each."""
    try:
        entries = DecisionLog(client, system).entries()
    except TidemillError as error:
        return [], [str(error)]
    open_ended = entries and entries[-1].state == "begun"
    wrong = (
        [f"decision {entries[-1].number} was begun and not completed: `--repair` completes it"] if open_ended else []
    )
    wrong += [stray] if (stray := stray_alias(client, system, entries)) else []
    try:
        wrong += [differs] if (differs := decision_file.difference(system, entries)) else []
    except TidemillError as error:
        wrong.append(str(error))
    return entries, wrong


def repair(client: "MlflowClient", system: str) -> None:
    """Complete a decision that was begun, put the alias where the log has it, and add to the file what it lacks.

    Raises:
        TidemillError: an entry was changed or removed; only the untouched copy can repair that.
    """
    log = DecisionLog(client, system)
    entries = settle(client, log)
    champion = champion_of(entries)
    if champion is not None:
        client.set_registered_model_alias(system, tags.CHAMPION, champion)
    elif stray_alias(client, system, entries):
        client.delete_registered_model_alias(system, tags.CHAMPION)
    decision_file.append_missing(log)
