"""Whose signatures are trusted, and how to sign: with a key, or as an identity that Sigstore attests.

The project signs versions; each person who decides signs decisions. `keys/`, which is under git, says whose count.
"""

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydantic import ValidationError

from tidemill.core.errors import TidemillError
from tidemill.core.files import finished_file
from tidemill.core.params import Params
from tidemill.registry.lineage import KEYS
from tidemill.tracking.store import own_folder, project_root, store_folder

PUBLIC_KEY = KEYS / "model-signing.pub"
"""Under git, so that whoever has the project can verify."""
DECIDERS = KEYS / "deciders"
"""Public keys of those who decide, by their address: `grace@example.org.pub`."""
SIGSTORE = KEYS / "sigstore.json"
"""Under git as well. Where it stands, new signatures are made through Sigstore."""
TOKEN = "SIGSTORE_ID_TOKEN"


class Sigstore(Params):
    """The content of `keys/sigstore.json`."""

    identity: str
    """Who signs: the mail address, or the address of the workflow, that certificates are issued for."""
    issuer: str
    """Who attests that: `https://token.actions.githubusercontent.com`."""
    deciders: str | None = None
    """Who attests the people who decide: then these sign through Sigstore, each as their own address."""
    trust: str | None = None
    """A private Sigstore's `ClientTrustConfig`, as a path in the project; without it the public one."""

    @property
    def trust_config(self) -> Path | None:
        """The file that `trust` names, if it names one."""
        return project_root() / self.trust if self.trust else None


def signer(config: Any, who: str | None = None) -> Any:
    """Set the library up to sign through Sigstore where the project says so, otherwise with a key.

    Args:
        config: `model_signing.signing.Config()`.
        who: address of a person who decides; otherwise the project signs.

    Raises:
        TidemillError: there is no identity token, or the key is not here.
    """
    sigstore = _sigstore()
    if sigstore is None or (who and not sigstore.deciders):
        return config.use_elliptic_key_signer(private_key=_keys(who)[0])
    return config.use_sigstore_signer(identity_token=_token(), trust_config=sigstore.trust_config)


def verifier(config: Any, signature: Path, who: str | None = None) -> Any:
    """Set the library up to verify a signature of this kind, if the project trusts who made it.

    Args:
        config: `model_signing.verifying.Config()`.
        signature: the signed manifest.
        who: address of the person who must have signed; otherwise the project must have.

    Raises:
        TidemillError: the project trusts nobody who signs in this way, or the file is no signature.
    """
    try:
        by_certificate = "certificate" in json.loads(signature.read_bytes())["verificationMaterial"]
    except (ValueError, KeyError, TypeError) as error:
        raise TidemillError(f"{signature.name} is no signature") from error
    if not by_certificate:
        key = _public_file(who)
        if not (project_root() / key).exists():
            raise TidemillError(f"{key} is missing: without it no signature can be verified; git has it")
        return config.use_elliptic_key_verifier(public_key=project_root() / key)
    sigstore = _sigstore()
    if sigstore is None:
        raise TidemillError(f"it was signed through Sigstore, and {SIGSTORE}, which names who may, is missing")
    if who and not sigstore.deciders:
        raise TidemillError(f"it was signed through Sigstore, and {SIGSTORE} names nobody who attests `deciders`")
    return config.use_sigstore_verifier(
        identity=who or sigstore.identity,
        oidc_issuer=sigstore.deciders if who else sigstore.issuer,
        trust_config=sigstore.trust_config,
    )


def _public_file(who: str | None) -> Path:
    return DECIDERS / f"{_file_name(who)}.pub" if who else PUBLIC_KEY


def _private_file(who: str | None) -> Path:
    folder = store_folder().parent / "keys"
    return folder / "deciders" / f"{_file_name(who)}.pem" if who else folder / "model-signing.pem"


def _file_name(who: str) -> str:
    """Return an address as the name of a file, whatever is in it."""
    return quote(who, safe="@+ ")


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


def _keys(who: str | None) -> tuple[Path, Path]:
    """Return the private key, readable by its owner only, and the public one; both are created on first use.

    Raises:
        TidemillError: the public key is not that of the private key here, so nobody could verify.
    """
    from filelock import FileLock

    named, private = _public_file(who), _private_file(who)
    public = project_root() / named
    own_folder()
    private.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with FileLock(private.with_suffix(".lock")):
        if not private.exists() and not public.exists():
            _make_key(private)
        if not public.exists():
            with finished_file(public) as partial:
                partial.write_bytes(_public_key(private))
        elif not private.exists() or _public_key(private) != public.read_bytes():
            raise TidemillError(
                f"{named} belongs to no key that is here: copy its private key to {private}, or remove {named} "
                "to sign with a new one, by which earlier signatures cannot be verified"
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
