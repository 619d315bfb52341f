"""What the one who registered a version states of it, signed: its files, who proposed it, and what the gates found.

MLflow's tags can be rewritten by whoever may edit the version; a statement cannot, without the key. It names the version,
so that no statement of another one passes for it.
"""

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tidemill.core.errors import TidemillError
from tidemill.registry import signing
from tidemill.registry.documents import parsed
from tidemill.registry.identity import CLAIMED
from tidemill.tracking import tags

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion


@dataclass(frozen=True)
class Statement:
    """Everything an approval rests on."""

    name: str
    version: str
    files: dict[str, str]
    """The version's content: see `content.files`."""
    proposer: str | None
    identity: str | None
    """How it is known who proposed it: see `Identity.source`."""
    passed: bool
    reason: str
    """Why it passed its gates, or did not."""
    compared: str
    """The champion that it was compared with."""

    @property
    def by(self) -> str:
        """Who proposed it, and how far that is known."""
        claimed = CLAIMED.get(self.identity or "")
        return f"{self.proposer or 'nobody named'}{f' ({claimed})' if claimed else ''}"

    def as_tags(self) -> dict[str, str]:
        """Return what MLflow's page shows of it."""
        shown = {tags.PASSED: str(self.passed).lower(), tags.REASON: self.reason, tags.COMPARED: self.compared}
        return shown | ({tags.PROPOSER: self.proposer} if self.proposer else {})


@dataclass(frozen=True)
class Signed:
    """The tag's value."""

    statement: str
    signature: dict[str, Any]


def write(client: "MlflowClient", statement: Statement) -> None:
    """Sign a statement and put it on its version.

    Raises:
        TidemillError: it cannot be signed here.
    """
    text = json.dumps(asdict(statement), ensure_ascii=False)
    value = json.dumps(asdict(Signed(text, signing.sign_text(text))), ensure_ascii=False)
    client.set_model_version_tag(statement.name, statement.version, tags.STATEMENT, value)


def of(version: "ModelVersion") -> Statement | None:
    """Return the statement on a version; None where it has none, as those have that were registered before there were any.

    Raises:
        TidemillError: it is not what was signed, or is that of another version.
    """
    value, place = version.tags.get(tags.STATEMENT), f"models:/{version.name}/{version.version}"
    if value is None:
        return None
    signed = parsed(value, Signed, f"{place}: its tag {tags.STATEMENT}")
    try:
        signing.verify_text(signed.statement, signed.signature)
    except TidemillError as error:
        raise TidemillError(f"{place}: its tag {tags.STATEMENT} was changed or is not trusted: {error}") from error
    found = parsed(signed.statement, Statement, f"{place}: its tag {tags.STATEMENT}")
    if (found.name, found.version) != (version.name, str(version.version)):
        raise TidemillError(f"{place}: its tag {tags.STATEMENT} is that of {found.name} {found.version}")
    return found


def rewritten(version: "ModelVersion", statement: Statement) -> list[str]:
    """Name each tag of a version that does not say what was signed."""
    shown = statement.as_tags().items()
    return [
        f"its tag {tag} was rewritten: {version.tags.get(tag)!r}, and {value!r} was signed"
        for tag, value in shown
        if version.tags.get(tag) != value
    ]
