"""Signed manifests of model files, as OpenSSF's model signing specifies them: any change to any file is found."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidemill.errors import TidemillError
from tidemill.files import finished_file
from tidemill.registry import versions
from tidemill.registry.lineage import KEYS
from tidemill.registry.tracking import project_root, store_folder

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

SIGNATURE = "model.sig"
"""Stands beside the folder it is of."""
PUBLIC_KEY = KEYS / "model-signing.pub"
"""Under git, so that whoever has the project can verify."""
LEFT_BY_LOADING = ("registered_model_meta", "**/__pycache__")
"""What MLflow and Python write into a local store's files when `mlflow.pyfunc.load_model` loads a version there."""


def sign(folder: Path) -> Path:
    """Write the signed manifest of a folder beside it, with this project's key."""
    from model_signing import signing

    private, _ = _keys()
    signature = folder.with_name(SIGNATURE)
    config: Any = signing.Config()  # type: ignore[no-untyped-call]
    config = config.use_elliptic_key_signer(private_key=private).set_hashing_config(_hashing())
    config.sign(folder, signature)
    return signature


def verify(folder: Path, public_key: Path | None = None) -> None:
    """Check a folder against the signed manifest beside it.

    Raises:
        TidemillError: a file was changed, added or removed since; the file is named.
    """
    from model_signing import verifying

    signature, key = folder.with_name(SIGNATURE), public_key or project_root() / PUBLIC_KEY
    if not key.exists():
        raise TidemillError(f"{PUBLIC_KEY} is missing: without it no signature can be verified; git has it")
    config: Any = verifying.Config()  # type: ignore[no-untyped-call]
    config = config.use_elliptic_key_verifier(public_key=key).set_hashing_config(_hashing())
    try:
        config.verify(folder, signature)
    except Exception as error:  # the library raises ValueError, InvalidSignature and others of its own
        raise TidemillError(f"{folder.name} is not what was signed: {' '.join(str(error).split())}") from error


def download(version: "ModelVersion", folder: Path) -> Path:
    """Bring a version's files and verify its model; the one way to a model that is to be loaded.

    What an earlier load has left in the store is not brought along: compiled code would run unverified.

    Returns:
        The folder of the version's files: `model/` and the documents beside it.

    Raises:
        TidemillError: the model is not what was signed, or was not signed.
    """
    found, place = versions.bring(version, ".", folder), f"models:/{version.name}/{version.version}"
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
    """Every file counts, those that git would ignore as well."""
    from model_signing import hashing

    config: Any = hashing.Config()  # type: ignore[no-untyped-call]
    return config.set_ignored_paths(paths=[], ignore_git_paths=False)


def _keys() -> tuple[Path, Path]:
    """The private key, for its owner's eyes only, and the public one; both made on first use.

    Raises:
        TidemillError: the project's public key is not that of the private key here, so nobody could verify.
    """
    from filelock import FileLock

    private, public = store_folder().parent / "keys" / "model-signing.pem", project_root() / PUBLIC_KEY
    private.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with FileLock(private.with_suffix(".lock")):
        if not private.exists() and not public.exists():
            _make_key(private)
        if not public.exists():
            with finished_file(public) as partial:
                partial.write_bytes(_public_key(private))
        elif not private.exists() or _public_key(private) != public.read_bytes():
            raise TidemillError(
                f"{PUBLIC_KEY} is not of a key that is here: bring its private key as {private}, or remove {PUBLIC_KEY} "
                "to sign with a new one, by which earlier versions cannot be verified"
            )
    return private, public


def _make_key(private: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    content = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with finished_file(private) as partial:
        partial.touch(0o600)
        partial.write_bytes(content)


def _public_key(private: Path) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    key = load_pem_private_key(private.read_bytes(), password=None).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
