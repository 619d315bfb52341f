"""Signed manifests, as OpenSSF's model signing specifies them: any change to any file is detected. A text is one file."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tidemill.core.errors import TidemillError
from tidemill.registry import signers

SIGNATURE = "model.sig"
"""The signature of a folder, beside it."""
DIGESTS = re.compile(r": Expected \S*Digest\(.*?\), Actual \S*Digest\(.*?\)\S*?(?=,|\]|$)")
TEXT = "text"
"""Name of the folder and of the file that a text is signed as."""


def sign(folder: Path, signature: Path | None = None, who: str | None = None) -> Path:
    """Write the signed manifest of a folder, and verify it as everybody will who reads the folder.

    Args:
        signature: where to write it, by default beside the folder; in the folder, it is no part of what is signed.
        who: the person who signs; otherwise the project does.

    Raises:
        TidemillError: it cannot be signed here, or the project does not trust the signer.
    """
    from model_signing import signing

    signature = signature or folder.with_name(SIGNATURE)
    try:
        config = signers.signer(signing.Config(), who)  # type: ignore[no-untyped-call]
        config.set_hashing_config(_hashing(folder, signature)).sign(folder, signature)
    except TidemillError:
        raise
    except Exception as error:  # the library raises those of Sigstore's client and its network
        raise TidemillError(f"{folder.name} could not be signed: {_message(error)}") from error
    verify(folder, signature, who)
    return signature


def verify(folder: Path, signature: Path | None = None, who: str | None = None) -> None:
    """Verify a folder against its signed manifest.

    Raises:
        TidemillError: a file was changed, added or removed since; the file is named. Or the signature is not trusted.
    """
    from model_signing import verifying

    signature = signature or folder.with_name(SIGNATURE)
    try:
        config = signers.verifier(verifying.Config(), signature, who)  # type: ignore[no-untyped-call]
        config.set_hashing_config(_hashing(folder, signature)).verify(folder, signature)
    except TidemillError:
        raise
    except Exception as error:  # the library raises ValueError, InvalidSignature and others of its own
        raise TidemillError(f"{folder.name} is not what was signed: {_message(error)}") from error


def sign_text(text: str, who: str | None = None) -> dict[str, Any]:
    """Return the signature of a text, as JSON.

    Raises:
        TidemillError: it cannot be signed here.
    """
    with TemporaryDirectory() as scratch:
        signature: dict[str, Any] = json.loads(sign(_as_folder(text, Path(scratch)), who=who).read_bytes())
    return signature


def verify_text(text: str, signature: dict[str, Any], who: str | None = None) -> None:
    """Verify a text against its signature.

    Raises:
        TidemillError: it was changed, or the signature is not trusted.
    """
    with TemporaryDirectory() as scratch:
        folder = _as_folder(text, Path(scratch))
        folder.with_name(SIGNATURE).write_text(json.dumps(signature))
        verify(folder, who=who)


def _as_folder(text: str, scratch: Path) -> Path:
    folder = scratch / TEXT
    folder.mkdir()
    (folder / TEXT).write_bytes(text.encode())
    return folder


def _hashing(folder: Path, signature: Path) -> Any:
    """Hash every file but the signature itself, those that git would ignore as well."""
    from model_signing import hashing

    own: Sequence[str] = [signature.name] if signature.parent == folder else []
    config: Any = hashing.Config()  # type: ignore[no-untyped-call]
    return config.set_ignored_paths(paths=own, ignore_git_paths=False)


def _message(error: Exception) -> str:
    """Return what the library says, without the bytes of digests."""
    return DIGESTS.sub("", " ".join(str(error).split())) or type(error).__name__
