"""Registered versions with their lineage, and those made from some data or at some commit."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tidemill.core.errors import TidemillError
from tidemill.registry import champion, content, lineage, versions
from tidemill.tracking import tags as names
from tidemill.tracking.store import connect

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion


@dataclass(frozen=True)
class Version:
    """One version of a registered model."""

    entry: "ModelVersion"

    @property
    def name(self) -> str:
        """The registered model, which has the system's name."""
        return str(self.entry.name)

    @property
    def address(self) -> str:
        """Its address in MLflow: `models:/digits/3`."""
        return f"models:/{self.entry.name}/{self.entry.version}"

    @property
    def tags(self) -> dict[str, str]:
        """Its tags, by which it can be found."""
        return dict(self.entry.tags)

    @cached_property
    def aliases(self) -> list[str]:
        """Its aliases, such as `champion`."""
        named = connect().get_registered_model(self.entry.name).aliases.items()
        return sorted(alias for alias, number in named if str(number) == str(self.entry.version))

    @cached_property
    def lineage(self) -> dict[str, Any]:
        """What it was made from, in today's schema; what was not recorded is null.

        Raises:
            TidemillError: it has no lineage.
        """
        with self.file(versions.LINEAGE) as document:
            try:
                return lineage.read(document)
            except TidemillError as error:
                raise TidemillError(f"{self.address}: {error}") from error

    @contextmanager
    def file(self, path: str) -> Iterator[Path]:
        """Download one of its documents from the registry.

        Raises:
            TidemillError: it has no such document, or that is not what was signed.
        """
        with TemporaryDirectory() as scratch:
            yield content.file(self.entry, path, Path(scratch))

    @contextmanager
    def opened(self) -> Iterator[content.Content]:
        """Download all of its files.

        Raises:
            TidemillError: they are not what was signed, or what was reviewed of the champion.
        """
        with TemporaryDirectory() as scratch:
            found = content.download(self.entry, Path(scratch))
            champion.check(self.entry, found)
            yield found


def find(address: str) -> Version:
    """Return the version that an address names now: `models:/digits/3`, or `models:/digits@` and an alias.

    Raises:
        TidemillError: it is no such address, or the registry has no such version.
    """
    return Version(champion.resolve(address))


def every(wanted: Callable[[dict[str, str]], bool] = lambda _: True) -> list[Version]:
    """Return the versions of all models whose tags are wanted, the oldest first."""
    client, found, token = connect(), [], None
    while True:
        page = client.search_model_versions(page_token=token)
        found += [entry for entry in page if wanted(entry.tags)]
        token = page.token
        if not token:
            return [Version(entry) for entry in sorted(found, key=lambda one: (one.name, int(one.version)))]


def from_commit(commit: str) -> list[Version]:
    """Return the versions made at a commit; its first digits are enough."""
    return every(lambda tags: tags.get(names.COMMIT, "").startswith(commit.lower()))


def from_data(digest: str) -> list[Version]:
    """Return the versions made from data of a hash, raw or ingested, or tested on it; its first digits are enough.

    Args:
        digest: as DVC writes it, with or without `md5:` and `.dir`; or the sha256 of a test set.
    """
    wanted = digest.lower().rpartition(":")[2].removesuffix(".dir")

    def made_from(tags: dict[str, str]) -> bool:
        hashes = [known.rpartition(":")[2] for known in tags.get(names.DATA, "").split()]
        return any(known.startswith(wanted) for known in [*hashes, tags.get(names.TEST_SET, "")])

    return every(made_from)
