"""A version of the registry, loaded: weights and JSON, nothing unpickled, the very bytes that were registered."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tidemill.core.errors import TidemillError
from tidemill.core.files import sha256_file
from tidemill.inference.predictor import Predictor
from tidemill.models.common.networks import WEIGHTS
from tidemill.registry import champion, content, lineage
from tidemill.registry.package import check_formats
from tidemill.registry.versions import LINEAGE, MODEL
from tidemill.tracking import tags

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion


@dataclass(frozen=True)
class Loaded:
    """A version, ready to predict."""

    version: "ModelVersion"
    predictor: Predictor
    lineage: dict[str, Any]

    @property
    def name(self) -> str:
        """How predictions name the version that made them: `digits/3`."""
        return f"{self.version.name}/{self.version.version}"

    @property
    def columns(self) -> dict[str, str]:
        """The columns of the source that it was trained on, by the names that its task has for them."""
        source = self.lineage["params"].get("source", {})
        return dict(source.get("columns") or {})


def load(address: str, tell: champion.Tell = champion.to_errors) -> Loaded:
    """Load the version that `models:/digits@champion` or `models:/digits/3` names now.

    Args:
        tell: receives a line where the alias `champion` is not where the decision log put it.

    Raises:
        TidemillError: there is none, or what the registry holds is not what was registered.
    """
    version = champion.resolve(address, tell)
    with TemporaryDirectory() as scratch:
        found = content.download(version, Path(scratch))
        champion.check(version, found)
        _check(version, found.folder / MODEL)
        return Loaded(version, Predictor(found.folder / MODEL), lineage.read(found.folder / LINEAGE))


def _check(version: "ModelVersion", model: Path) -> None:
    """Refuse a signed model that is not the registered one before it is read: an older one is signed as well."""
    check_formats(model)
    place = f"models:/{version.name}/{version.version}"
    if tags.WEIGHTS not in version.tags:
        raise TidemillError(f"{place} has no tag {tags.WEIGHTS}: somebody deleted it, or it was not registered by us")
    if sha256_file(model / WEIGHTS) != version.tags[tags.WEIGHTS]:
        raise TidemillError(
            f"the weights of {place} are not those that were registered: somebody changed the file in the artifact store"
        )
