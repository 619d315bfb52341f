"""Whose signatures are trusted, and how to sign: with this project's key, or as an identity that Sigstore attests."""

import json
import os
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tidemill.core.errors import TidemillError
from tidemill.core.files import finished_file
from tidemill.core.params import Params
from tidemill.registry.lineage import KEYS
from tidemill.tracking.store import project_root, store_folder

PUBLIC_KEY = KEYS / "model-signing.pub"
"""Under git, so that whoever has the project can verify."""
SIGSTORE = KEYS / "sigstore.json"
"""Under git as well. Where it stands, new signatures are made through Sigstore."""
TOKEN = "SIGSTORE_ID_TOKEN"


class Sigstore(Params):
    """The content of `keys/sigstore.json`."""

    identity: str
    """Who signs: the mail address, or the address of the workflow, that certificates are issued for."""
    issuer: str
    """Who attests that: `https://token.actions.githubusercontent.com`."""
    trust: str | None = None
    """A private Sigstore's `ClientTrustConfig`, as a path in the project; without it the public one."""

    @property
    def trust_config(self) -> Path | None:
        """The file that `trust` names, if it names one."""
        return project_root() / self.trust if self.trust else None


def signer(config: Any) -> Any:
    """Set the library up to sign through Sigstore where the project says so, otherwise with the project's key.

    Args:
        config: `model_signing.signing.Config()`.

    Raises:
        TidemillError: there is no identity token, or the project's key is not here.
    """
    sigstore = _sigstore()
    if sigstore is None:
        return config.use_elliptic_key_signer(private_key=_keys()[0])
    return config.use_sigstore_signer(identity_token=_token(), trust_config=sigstore.trust_config)


def verifier(config: Any, signature: Path) -> Any:
    """Set the library up to verify a signature of this kind, if the project trusts who made it.

    Args:
        config: `model_signing.verifying.Config()`.
        signature: the signed manifest.

    Raises:
        TidemillError: the project trusts nobody who signs in this way, or the file is no signature.
    """
    try:
        by_certificate = "certificate" in json.loads(signature.read_bytes())["verificationMaterial"]
    except (ValueError, KeyError, TypeError) as error:
        raise TidemillError(f"{signature.name} is no signature") from error
    if not by_certificate:
        key = project_root() / PUBLIC_KEY
        if not key.exists():
            raise TidemillError(f"{PUBLIC_KEY} is missing: without it no signature can be verified; git has it")
        return config.use_elliptic_key_verifier(public_key=key)
    sigstore = _sigstore()
    if sigstore is None:
        raise TidemillError(f"it was signed through Sigstore, and {SIGSTORE}, which names who may, is missing")
    return config.use_sigstore_verifier(
        identity=sigstore.identity, oidc_issuer=sigstore.issuer, trust_config=sigstore.trust_config
    )


def _sigstore() -> Sigstore | None:
    path = project_root() / SIGSTORE
    if not path.exists():
        return None
    try:
        found = Sigstore.model_validate_json(path.read_bytes())
    except ValidationError as error:
        [first, *_] = error.errors()
        raise TidemillError(f"{SIGSTORE}: {'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}") from error
    if found.trust_config and not found.trust_config.is_file():
        raise TidemillError(f"{SIGSTORE}: trust: there is no {found.trust}")
    return found


def _token() -> str:
    """Return the identity token of who signs here; a stage cannot open a browser to ask for one."""
    from sigstore.oidc import detect_credential

    token = os.environ.get(TOKEN) or detect_credential("sigstore")
    if not token:
        raise TidemillError(
            f"{SIGSTORE} asks for a signature through Sigstore, and there is no identity token: set {TOKEN}, "
            "or run where the CI service gives one"
        )
    return token


def _keys() -> tuple[Path, Path]:
    """Return the private key, readable by its owner only, and the public one; both are created on first use.

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
                f"{PUBLIC_KEY} belongs to no key that is here: copy its private key to {private}, or remove {PUBLIC_KEY} "
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
