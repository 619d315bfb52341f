"""Decisions that were set as tags of a version, as in MLflow's page: carried out by the same rules as any other.

A tag is a claim: whoever may edit a version can set it in any name, and the log says that it was a tag.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tidemill.errors import TidemillError
from tidemill.registry import history, promotion
from tidemill.registry.decision_log import Entry
from tidemill.registry.identity import Identity

if TYPE_CHECKING:
    from mlflow import MlflowClient

DECISION_TAG = "tidemill.decision"
"""`approve` or `reject`."""
BY_TAG = "tidemill.decided_by"
COMMENT_TAG = "tidemill.comment"
REFUSED_TAG = "tidemill.refused"
"""Why the decision was not carried out, for whoever set it."""
CARRIED_OUT_TAG = "tidemill.carried_out"
"""The entry of the log that the tags became."""
DECISIONS = {"approve": promotion.approve, "reject": promotion.reject}


def carry_out(client: "MlflowClient", system: str | None = None) -> Iterator[Entry | TidemillError]:
    """Carry out the tagged decisions of a system, or of all: each becomes an entry of the log, or a refusal.

    The tags go when the log has the entry; those of a refusal stay, beside the reason.
    """
    for version in history.every(lambda tags: DECISION_TAG in tags):
        name, number = version.name, str(version.entry.version)
        if system in (None, name):
            try:
                entry = _decide(client, name, number, version.tags)
            except TidemillError as error:
                client.set_model_version_tag(name, number, REFUSED_TAG, str(error))
                yield TidemillError(f"{version.address}: {error}")
            else:
                _mark(client, name, number, version.tags, entry)
                yield entry


def _decide(client: "MlflowClient", system: str, version: str, tags: dict[str, str]) -> Entry:
    wanted, who = tags[DECISION_TAG].strip().casefold(), tags.get(BY_TAG, "").strip()
    if wanted not in DECISIONS:
        raise TidemillError(f"its tag {DECISION_TAG} is {wanted!r}: set it to approve or reject")
    if not who:
        raise TidemillError(f"its tag {DECISION_TAG} is nobody's: set {BY_TAG} to a name and address")
    return DECISIONS[wanted](client, system, version, Identity(who, "tag"), tags.get(COMMENT_TAG, ""))


def _mark(client: "MlflowClient", system: str, version: str, tags: dict[str, str], entry: Entry) -> None:
    """The decision goes first: without the others, it would be found again and refused."""
    client.set_model_version_tag(system, version, CARRIED_OUT_TAG, str(entry))
    for tag in (DECISION_TAG, BY_TAG, COMMENT_TAG, REFUSED_TAG):
        if tag in tags:
            client.delete_model_version_tag(system, version, tag)
