"""Signatures through Sigstore, with one of the tests' own: as whom, whose count, and what is said where none can be had."""

import json
from pathlib import Path

import pytest

from tests.private_sigstore import Sigstore, running_sigstore
from tests.unit.registry.proposals import GRACE, propose
from tidemill.core.errors import TidemillError
from tidemill.core.files import write_json
from tidemill.registry import champion, promotion, signers, signing
from tidemill.tracking import store

WORKFLOW = "https://git.example.org/team/project/.workflows/train.yml@main"


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to sign, in a project without any signer yet."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("systems: {}\n")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    return tmp_path / "model"


def sign_as(who: str, sigstore: Sigstore, project: Path, monkeypatch: pytest.MonkeyPatch, trusted: str = "") -> None:
    """Make a project sign through Sigstore: with a token of `who`, trusting them or another."""
    write_json(project / "keys" / "trust.json", sigstore.trust())
    settings = {"identity": trusted or who, "issuer": sigstore.address, "trust": "keys/trust.json"}
    write_json(project / signers.SIGSTORE, settings)
    monkeypatch.setenv(signers.TOKEN, sigstore.token(who))


@pytest.mark.parametrize("who", ["ci@example.org", WORKFLOW])
def test_signed_through_sigstore_and_verified_without_it(
    who: str, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_sigstore() as sigstore:
        sign_as(who, sigstore, model.parent, monkeypatch)
        signature = signing.sign(model)
    assert sigstore.entries == 1  # it stands in the public log
    assert "certificate" in json.loads(signature.read_text())["verificationMaterial"]
    monkeypatch.delenv(signers.TOKEN)
    signing.verify(model)  # the service is gone: the signature holds all that is needed
    (model / "config.json").write_text("[]")
    with pytest.raises(TidemillError, match=r"not what was signed.*config\.json"):
        signing.verify(model)


def test_the_signature_of_somebody_else_does_not_count(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_sigstore() as sigstore:
        sign_as("mallory@example.org", sigstore, model.parent, monkeypatch, trusted="ci@example.org")
        with pytest.raises(TidemillError, match=r"do not match ci@example\.org.*mallory"):
            signing.sign(model)
        with running_sigstore() as other:
            settings = {"identity": "mallory@example.org", "issuer": sigstore.address, "trust": "keys/other.json"}
            write_json(model.parent / signers.SIGSTORE, settings)
            write_json(model.parent / "keys" / "other.json", other.trust())
            with pytest.raises(TidemillError, match="not what was signed"):  # certified by one who is not trusted
                signing.verify(model)


def test_who_is_trusted_is_said_in_the_project_alone(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by_key = signing.sign(model).read_bytes()
    with running_sigstore() as sigstore:
        sign_as("ci@example.org", sigstore, model.parent, monkeypatch)
        signing.sign(model)
    (model.parent / signers.SIGSTORE).unlink()
    with pytest.raises(TidemillError, match=r"signed through Sigstore, and keys/sigstore\.json.*is missing"):
        signing.verify(model)
    (model.parent / signing.SIGNATURE).write_bytes(by_key)
    signing.verify(model)  # an earlier version's, by the project's key
    (model.parent / signers.PUBLIC_KEY).unlink()
    with pytest.raises(TidemillError, match=r"model-signing\.pub is missing"):
        signing.verify(model)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('{"identity": "ci@example.org"}', r"keys/sigstore\.json: issuer: Field required"),
        ('{"identity": "ci@example.org", "isuer": "x", "issuer": "y"}', r"keys/sigstore\.json: isuer: Extra inputs"),
        ("identity: me", r"keys/sigstore\.json: the file: Invalid JSON"),
        ('{"identity": "a", "issuer": "b", "trust": "keys/none.json"}', r"trust: there is no keys/none\.json"),
        ('{"identity": "a", "issuer": "b"}', "no identity token: set SIGSTORE_ID_TOKEN"),
    ],
)
def test_what_is_wrong_with_the_settings_is_told(
    content: str, told: str, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(signers.TOKEN, raising=False)
    (model.parent / "keys").mkdir()
    (model.parent / signers.SIGSTORE).write_text(content)
    with pytest.raises(TidemillError, match=told):
        signing.sign(model)
    assert not (model.parent / signing.SIGNATURE).exists()


def test_a_token_that_is_too_old_and_a_service_that_is_gone_sign_nothing(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_sigstore() as sigstore:
        sign_as("ci@example.org", sigstore, model.parent, monkeypatch)
        monkeypatch.setenv(signers.TOKEN, sigstore.token("ci@example.org", seconds=-60))
        with pytest.raises(TidemillError, match="model could not be signed: Identity token is malformed"):
            signing.sign(model)
    with pytest.raises(TidemillError, match="model could not be signed"):
        signing.sign(model)
    assert not (model.parent / signing.SIGNATURE).exists()


def test_a_version_signed_through_sigstore_is_registered_and_promoted(
    proposed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_sigstore() as sigstore:
        sign_as("ci@example.org", sigstore, proposed, monkeypatch)
        assert propose(proposed, seed=1, wrong=3) == "2"
    client = store.connect()
    promotion.approve(client, "bars", "2", GRACE, "fewer mistakes")
    found = champion.find(client, "bars")
    assert found is not None
    assert str(found.version) == "2"
