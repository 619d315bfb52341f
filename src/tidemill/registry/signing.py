"""Signed manifests of model files, as OpenSSF's model signing specifies them: any change to any file is detected."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidemill.core.errors import TidemillError
from tidemill.registry import signers, versions

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

SIGNATURE = "model.sig"
"""The signature of a folder, beside it."""
LEFT_BY_LOADING = ("registered_model_meta", "**/__pycache__")
"""What MLflow and Python write into a local store's files when `mlflow.pyfunc.load_model` loads a version there."""


def sign(folder: Path) -> Path:
    """Write the signed manifest of a folder beside it, and verify it as everybody will who reads the folder.

    Raises:
        TidemillError: it cannot be signed here, or the project does not trust the signer.
    """
    from model_signing import signing

    signature = folder.with_name(SIGNATURE)
    try:
        config = signers.signer(signing.Config())  # type: ignore[no-untyped-call]
        config.set_hashing_config(_hashing()).sign(folder, signature)
    except TidemillError:
        raise
    except Exception as error:  # the library raises those of Sigstore's client and its network
        raise TidemillError(f"{folder.name} could not be signed: {_message(error)}") from error
    verify(folder)
    return signature


def verify(folder: Path) -> None:
    """Verify a folder against the signed manifest beside it.

    Raises:
        TidemillError: a file was changed, added or removed since; the file is named. Or the signature is not trusted.
    """
    from model_signing import verifying

    signature = folder.with_name(SIGNATURE)
    try:
        config = signers.verifier(verifying.Config(), signature)  # type: ignore[no-untyped-call]
        config.set_hashing_config(_hashing()).verify(folder, signature)
    except TidemillError:
        raise
    except Exception as error:  # the library raises ValueError, InvalidSignature and others of its own
        raise TidemillError(f"{folder.name} is not what was signed: {_message(error)}") from error


def download(version: "ModelVersion", folder: Path) -> Path:
    """Download a version's files and verify its model; the one way to a model that is to be loaded.

    What an earlier load has left in the store is not kept: compiled code would run unverified.

    Returns:
        The folder of the version's files: `model/` and the documents beside it.

    Raises:
        TidemillError: the model is not what was signed, or was not signed.
    """
    found, place = versions.download(version, ".", folder), f"models:/{version.name}/{version.version}"
    if not (found / SIGNATURE).exists():
        raise TidemillError(
            f"{place} has no {SIGNATURE}: delete that version in MLflow, and "
            f"`dvc repro --single-item --force register@{version.name}` makes it again, signed"
        )
    for left in [path for pattern in LEFT_BY_LOADING for path in (found / "model").glob(pattern)]:
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    try:
        verify(found / "model")
    except TidemillError as error:
        raise TidemillError(f"{place}: {error}") from error
    return found


def _hashing() -> Any:
    """Hash every file, those that git would ignore as well."""
    from model_signing import hashing

    config: Any = hashing.Config()  # type: ignore[no-untyped-call]
    return config.set_ignored_paths(paths=[], ignore_git_paths=False)


def _message(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
