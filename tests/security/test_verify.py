"""`tidemill verify`: each part of a version that was changed is named, by whoever holds the project's key as well."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from google.protobuf.json_format import ParseDict
from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
from in_toto_attestation.v1.statement import Statement
from in_toto_attestation.v1.statement_pb2 import Statement as StatementMessage

from tests.unit.registry.candidates import PARAMS
from tests.unit.registry.proposals import GRACE, as_before, changed, propose, start, stored
from tidemill.cli.versions import verify as command
from tidemill.core.files import sha256_file
from tidemill.registry import content, promotion, statement
from tidemill.registry.verification import verify
from tidemill.tracking import tags
from tidemill.tracking.store import connect

CHECKS = ["signature", "statement", "files", "lineage", "bill of materials", "provenance", "decision log"]
SOURCES = """
sources:
  bars:
  - from: ["npm:bars@1.2.6"]
    sha256: "0000000000000000000000000000000000000000000000000000000000000001"
    licence: LicenseRef-Bars
    members: {a: {path: x/a, sha256: "0000000000000000000000000000000000000000000000000000000000000002"}}
"""


def sentences(number: str = "1") -> dict[str, tuple[bool, str]]:
    found = list(verify(promotion.version_of(connect(), "bars", number)))
    return {one.check: (one.passed, one.sentence) for one in found}


def broken(number: str = "1") -> list[str]:
    return [check for check, (passed, _) in sentences(number).items() if not passed]


def edit(file: Path, change: Callable[[Any], None]) -> None:
    document = json.loads(file.read_text())
    change(document)
    file.write_text(json.dumps(document))


def state_again(folder: Path) -> None:
    """Sign and state what a folder holds now, as whoever holds the project's key can."""
    content.sign(folder)
    entry = promotion.version_of(connect(), "bars", "1")
    stated = statement.of(entry)
    assert stated is not None
    statement.write(connect(), replace(stated, files=content.files(folder)))


@pytest.fixture
def sourced(project: Path) -> Path:
    """A version whose data have a source, approved."""
    start(project)
    (project / "params.yaml").write_text(PARAMS + SOURCES)
    subprocess.run(["git", "commit", "--quiet", "-am", "A source"], check=True)
    assert propose(project, seed=0, wrong=3, params=PARAMS + SOURCES) == "1"
    promotion.approve(connect(), "bars", "1", GRACE, "looks good")
    return stored(project, "bars", "1")


def test_a_version_verifies_and_what_is_changed_of_it_is_named(
    sourced: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = sentences()
    assert list(told) == CHECKS and broken() == []
    assert told["decision log"][1] == "approved in decision 2 by Grace <grace@localhost> (git)"
    _documents_are_what_they_claim(sourced)
    reviewed = promotion.version_of(connect(), "bars", "1").tags[tags.STATEMENT]

    with changed(sourced):
        (sourced / "report.html").write_text("<p>all is well</p>")
        assert broken() == ["signature", "files", "provenance", "decision log"]
    for document, change, check in (
        ("bom.cdx.json", _other_licence, "bill of materials"),
        ("bom.cdx.json", _other_package, "bill of materials"),
        ("bom.cdx.json", lambda bom: bom["components"].clear(), "bill of materials"),
        ("provenance.json", _other_commit, "provenance"),
        ("provenance.json", lambda found: found["subject"].pop(), "provenance"),
        ("provenance.json", lambda found: found.update(predicateType="x"), "provenance"),
        ("provenance.json", lambda found: found.clear(), "provenance"),
    ):
        with changed(sourced):
            edit(sourced / document, change)
            assert {"signature", "files", check} <= set(broken())
            state_again(sourced)
            assert check in broken() and not {"signature", "files"} & set(broken())
    with changed(sourced):
        for name in ("bom.cdx.json", "provenance.json"):
            (sourced / name).unlink()
        state_again(sourced)
        assert broken() == ["bill of materials", "provenance", "decision log"]
    connect().set_model_version_tag("bars", "1", tags.STATEMENT, reviewed)
    assert broken() == []
    connect().set_model_version_tag("bars", "1", "tidemill.passed", "false")
    assert broken() == ["statement"]
    connect().set_model_version_tag("bars", "1", "tidemill.passed", "true")

    with pytest.raises(SystemExit) as ended:
        command("models:/bars@champion")
    lines = capsys.readouterr().out.splitlines()
    assert not ended.value.code and len(lines) == len(CHECKS)
    assert lines[-1] == "models:/bars/1: decision log: approved in decision 2 by Grace <grace@localhost> (git)"
    (sourced / "model-card.md").write_text("# A better one\n")
    with pytest.raises(SystemExit) as ended:
        command("models:/bars@champion")
    assert ended.value.code == 1
    assert "models:/bars/1: WRONG: files: model-card.md is not what was stated" in capsys.readouterr().out.splitlines()


def _documents_are_what_they_claim(folder: Path) -> None:
    """CycloneDX's own schema and in-toto's own parser accept them, and they name what the version is made of."""
    text = (folder / "bom.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bom = json.loads(text)
    assert bom["metadata"]["component"]["type"] == "machine-learning-model"
    [data] = [one for one in bom["components"] if one["name"] == "data/bars"]
    assert (data["type"], data["purl"]) == ("data", "pkg:npm/bars@1.2.6")
    assert "LicenseRef-Bars" in json.dumps(data["licenses"])
    assert "torch" in [one["name"] for one in bom["components"] if one["type"] == "library"]

    document = json.loads((folder / "provenance.json").read_text())
    statement = Statement.copy_from_pb(ParseDict(document, StatementMessage()))
    statement.validate()
    provenance = ParseDict(document["predicate"], Provenance())
    assert provenance.run_details.builder.id.startswith("pkg:pypi/tidemill@")
    subjects = {one.name: one.digest["sha256"] for one in statement.pb.subject}
    assert subjects["bom.cdx.json"] == sha256_file(folder / "bom.cdx.json")
    assert "model/artifacts/model/model.safetensors" in subjects
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    [code] = [one for one in provenance.build_definition.resolved_dependencies if one.name == "code"]
    assert code.digest["gitCommit"] == commit
    assert "| `data/bars` | LicenseRef-Bars |" in (folder / "model-card.md").read_text()


def _other_licence(bom: dict[str, Any]) -> None:
    [data] = [one for one in bom["components"] if one["name"] == "data/bars"]
    data["licenses"] = [{"license": {"id": "MIT"}}]


def _other_package(bom: dict[str, Any]) -> None:
    [torch] = [one for one in bom["components"] if one["name"] == "torch"]
    torch["version"] = "1.0.0"


def _other_commit(found: dict[str, Any]) -> None:
    found["predicate"]["buildDefinition"]["resolvedDependencies"][0]["digest"]["gitCommit"] = "0" * 40


def test_a_version_of_before_verifies_and_says_what_it_lacks(project: Path) -> None:
    start(project)
    assert propose(project, seed=0, wrong=3) == "1"
    with as_before(project, "bars", "1") as folder:
        edit(folder / "lineage.json", lambda found: found.update(schema_version=2))
        edit(folder / "lineage.json", lambda found: found.pop("sources"))
        for name in ("bom.cdx.json", "provenance.json"):
            (folder / name).unlink()
        told = sentences()
    assert all(passed for passed, _ in told.values()), told
    assert told["signature"][1] == "signed: the model only"
    assert told["bill of materials"][1] == "none: versions of then have no bom.cdx.json"
