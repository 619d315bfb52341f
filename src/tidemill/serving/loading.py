"""A version of the registry as an object that answers: weights and JSON, nothing unpickled, the very bytes registered."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tidemill.errors import TidemillError
from tidemill.files import read_json, sha256_file
from tidemill.models import WEIGHTS
from tidemill.registry import signing, versions
from tidemill.registry.package import check_formats
from tidemill.registry.tracking import MODEL, WEIGHTS_TAG
from tidemill.tasks._predictor import Predictor

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion


@dataclass(frozen=True)
class Loaded:
    """A version, ready to answer."""

    version: "ModelVersion"
    predictor: Predictor
    lineage: dict[str, Any]

    @property
    def name(self) -> str:
        """How answers name what made them: `digits/3`."""
        return f"{self.version.name}/{self.version.version}"

    @property
    def columns(self) -> dict[str, str]:
        """The columns of the source that it learned from, by the names that its task has for them."""
        found: dict[str, str] = self.lineage["params"]["source"]["columns"]
        return found


def load(address: str) -> Loaded:
    """The version that `models:/digits@champion` or `models:/digits/3` names now.

    Raises:
        TidemillError: there is none, or what the registry holds is not what was registered.
    """
    version = versions.find(address)
    with TemporaryDirectory() as scratch:
        files = signing.download(version, Path(scratch))
        _check(version, files / MODEL)
        return Loaded(version, Predictor(files / MODEL), read_json(files / "lineage.json"))


def _check(version: "ModelVersion", model: Path) -> None:
    """Refuse a signed model before it is read, if it is not the registered one: an older one is signed as well."""
    check_formats(model)
    if sha256_file(model / WEIGHTS) != version.tags[WEIGHTS_TAG]:
        raise TidemillError(
            f"the weights of models:/{version.name}/{version.version} are not those that were registered: "
            "somebody changed the file in the artifact store"
        )
