"""Who proposes or decides, and how that is known."""

import os
from dataclasses import dataclass

from tidemill.core.errors import TidemillError
from tidemill.repository.git import git

OWN_KEYS = ("server", "git")
"""Sources of an identity with which a person is at work themselves, and not a process for them."""
CLAIMED = {
    "git": "a claim of git's settings",
    "form": "a claim in a form",
    "tag": "a claim of a tag",
}
"""What is said of an identity that no server has checked, by its source."""


@dataclass(frozen=True)
class Identity:
    """A person as the log names them."""

    who: str
    source: str
    """`server`: the tracking server accepted their password; `git`: what git's settings claim; `form`: what was entered
    in Prefect's form; `tag`: what a tag of the version claims."""

    @property
    def key(self) -> str | None:
        """Whose key signs what this person decides: their own, or, where a form or tag names them, the project's."""
        return address(self.who) if self.source in OWN_KEYS else None

    def is_same_person(self, other: str) -> bool:
        """Whether another name means the same person; of `Ada <ada@example.org>` the address counts."""
        return address(self.who) == address(other)


def identity() -> Identity:
    """Return who is at work: as the tracking server knows them where it asks for a password, otherwise as git does.

    Raises:
        TidemillError: neither knows.
    """
    found = _of_server() or _of_git()
    if found is None:
        raise TidemillError("nobody can be named as the one who decides: set git's user.name and user.email")
    return found


def proposer() -> Identity | None:
    """Return who proposes a new version, if that is known."""
    try:
        return identity()
    except TidemillError:
        return None


def _of_server() -> Identity | None:
    """Return the user of an authenticated server: it has to accept the password before the name is believed."""
    address, user = os.environ.get("MLFLOW_TRACKING_URI", ""), os.environ.get("MLFLOW_TRACKING_USERNAME")
    if not (address.startswith("http") and user):
        return None
    from mlflow.exceptions import MlflowException
    from mlflow.server import get_app_client

    try:
        known = get_app_client("basic-auth", tracking_uri=address).get_user(user)
    except MlflowException as error:
        if error.error_code == "ENDPOINT_NOT_FOUND":  # a server that asks for no password
            return None
        raise TidemillError(f"{address} does not accept MLFLOW_TRACKING_USERNAME={user}: {error.message}") from error
    return Identity(str(known.username), "server")


def _of_git() -> Identity | None:
    name, address = (git("config", "--get", setting).stdout.strip() for setting in ("user.name", "user.email"))
    return Identity(f"{name} <{address}>", "git") if name and address else None


def address(who: str) -> str:
    """Return what tells people apart: of `Ada <ada@example.org>` the address."""
    return who.rpartition("<")[2].rstrip(">").strip().casefold()
