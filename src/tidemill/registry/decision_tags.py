"""Decisions that were set as tags of a version, as in MLflow's page: carried out by the same rules as any other.

A tag is a claim: whoever may edit a version can set it in any name, and the log says that it was a tag.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tidemill.core.errors import TidemillError
from tidemill.registry import history, promotion
from tidemill.registry.decision_entry import Entry
from tidemill.registry.identity import Identity
from tidemill.tracking import tags

if TYPE_CHECKING:
    from mlflow import MlflowClient

DECISIONS = {"approve": promotion.approve, "reject": promotion.reject}


def carry_out(client: "MlflowClient", system: str | None = None) -> Iterator[Entry | TidemillError]:
    """Carry out the tagged decisions of a system, or of all: each becomes an entry of the log, or a refusal.

    The tags are removed once the log has the entry; those of a refusal stay, beside the reason.
    """
    for version in history.every(lambda found: tags.DECISION in found):
        name, number = version.name, str(version.entry.version)
        if system in (None, name):
            try:
                entry = _decide(client, name, number, version.tags)
            except TidemillError as error:
                client.set_model_version_tag(name, number, tags.REFUSED, str(error))
                yield TidemillError(f"{version.address}: {error}")
            else:
                _mark(client, name, number, version.tags, entry)
                yield entry


def _decide(client: "MlflowClient", system: str, version: str, found: dict[str, str]) -> Entry:
    wanted, who = found[tags.DECISION].strip().casefold(), found.get(tags.DECIDED_BY, "").strip()
    if wanted not in DECISIONS:
        raise TidemillError(f"its tag {tags.DECISION} is {wanted!r}: set it to approve or reject")
    if not who:
        raise TidemillError(f"its tag {tags.DECISION} has no author: set {tags.DECIDED_BY} to a name and address")
    return DECISIONS[wanted](client, system, version, Identity(who, "tag"), found.get(tags.COMMENT, ""))


def _mark(client: "MlflowClient", system: str, version: str, found: dict[str, str], entry: Entry) -> None:
    """Replace the tags by the entry. The decision goes first: alone, the others are not found again and refused."""
    client.set_model_version_tag(system, version, tags.CARRIED_OUT, str(entry))
    for tag in (tags.DECISION, tags.DECIDED_BY, tags.COMMENT, tags.REFUSED):
        if tag in found:
            client.delete_model_version_tag(system, version, tag)
