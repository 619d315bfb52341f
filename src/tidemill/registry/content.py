"""The content of a version: all files that were registered with it, and their hashes; the one way to read them.

Three things hold it. `version.sig`, made before the upload, signs the files; the statement on the version ties those very
files to its name and number; the decision log names the hash that was approved. A version that was registered before
there were statements has a signature of its model alone.
"""

import json
import shutil
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from tidemill.core.errors import TidemillError
from tidemill.core.files import sha256_file
from tidemill.models.common.networks import WEIGHTS
from tidemill.registry import signing, statement, versions
from tidemill.registry.statement import Statement
from tidemill.tracking import tags
from tidemill.tracking.store import connect

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

SIGNATURE = "version.sig"
"""The signature of all other files, among them."""
MODEL_ONLY = "signed: the model only"
"""What is said of a version that was registered before the whole of it was signed."""
LEFT_BY_LOADING = ("registered_model_meta", "**/__pycache__")
"""What MLflow and Python write into a local store's files when `mlflow.pyfunc.load_model` loads a version there."""


@dataclass(frozen=True)
class Content:
    """The verified files of a version, as they lie in a folder."""

    folder: Path
    statement: Statement | None
    """None where the model only is signed, and not what lies beside it."""

    def hashes(self) -> dict[str, str]:
        """Hash what a person reviews of a version: its whole content, and the parts that the lineage names."""
        return {
            "weights": sha256_file(self.folder / versions.MODEL / WEIGHTS),
            "evaluation": sha256_file(self.folder / versions.EVALUATION),
            "lineage": sha256_file(self.folder / versions.LINEAGE),
            "content": digest(files(self.folder)),
        }


def files(folder: Path) -> dict[str, str]:
    """Hash what a folder holds, but for its own signature: each file, and each folder as that of its own files."""
    return {
        path.name: digest(files(path)) if path.is_dir() else sha256_file(path)
        for path in sorted(folder.iterdir())
        if path.name != SIGNATURE
    }


def digest(hashes: dict[str, str]) -> str:
    """Return the one hash of several files by name."""
    return sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()


def sign(folder: Path) -> None:
    """Sign the model, and then everything that is registered.

    Raises:
        TidemillError: it cannot be signed here.
    """
    signing.sign(folder / "model")
    signing.sign(folder, folder / SIGNATURE)


def download(version: "ModelVersion", folder: Path) -> Content:
    """Download a version's files and verify them.

    What an earlier load has left in the store is not kept: compiled code would run unverified.

    Raises:
        TidemillError: they are not what was signed, were not signed, or are those of another version.
    """
    found = fetched(version, folder)
    stated = verified(version, found)
    return Content(found, stated)


def fetched(version: "ModelVersion", folder: Path) -> Path:
    """Download a version's files, unverified, without what an earlier load has left in the store."""
    found = versions.download(version, ".", folder)
    for left in [path for pattern in LEFT_BY_LOADING for path in (found / "model").glob(pattern)]:
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    return found


def is_signed(version: "ModelVersion") -> bool:
    """Whether the whole of a version was signed when it was registered: older ones have a signature of the model only."""
    listed = connect().list_artifacts(str(version.run_id), version.tags[tags.FOLDER])
    return tags.STATEMENT in version.tags or SIGNATURE in [PurePosixPath(entry.path).name for entry in listed]


def verify_files(version: "ModelVersion", folder: Path) -> None:
    """Verify a version's downloaded files by the signatures among them.

    Raises:
        TidemillError: they are not what was signed, or were not signed.
    """
    place = f"models:/{version.name}/{version.version}"
    whole = (folder / SIGNATURE).exists()
    if not whole and not (folder / signing.SIGNATURE).exists():
        raise TidemillError(
            f"{place} has no {signing.SIGNATURE}: delete that version in MLflow, and "
            f"`{register_again(str(version.name))}` makes it again, signed"
        )
    try:
        signing.verify(folder, folder / SIGNATURE) if whole else signing.verify(folder / "model")
    except TidemillError as error:
        raise TidemillError(f"{place}: {error}") from error


def verified(version: "ModelVersion", folder: Path) -> Statement | None:
    """Verify a version's downloaded files; return the statement that ties them to it.

    Raises:
        TidemillError: see `download`.
    """
    verify_files(version, folder)
    place, whole, stated = (
        f"models:/{version.name}/{version.version}",
        (folder / SIGNATURE).exists(),
        statement.of(version),
    )
    if whole and stated is None:
        raise TidemillError(
            f"{place}: nobody has stated what it holds, or the tag {tags.STATEMENT} was removed: "
            f"`{register_again(str(version.name))}` states it"
        )
    if stated is not None and not whole:
        raise TidemillError(f"{place} is not what was signed: its {SIGNATURE} was removed")
    if stated is not None and stated.files != files(folder):
        raise TidemillError(f"{place} is not what was signed: its tags point to the files of another version")
    return stated


def file(version: "ModelVersion", name: str, folder: Path) -> Path:
    """Download one document of a version, and verify it where the version's documents were signed.

    Raises:
        TidemillError: it is not what was signed.
    """
    found, stated = versions.download(version, name, folder), statement.of(version)
    if stated is not None and stated.files.get(name) != sha256_file(found):
        raise TidemillError(f"models:/{version.name}/{version.version}: {name} is not what was signed")
    return found


def register_again(system: str) -> str:
    """Return the command that registers a system's present candidate."""
    return f"dvc repro --single-item --force register@{system}"
