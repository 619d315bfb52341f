"""Where a version comes from, as an in-toto statement with SLSA's provenance: which files were made from what, and how.

It says what the lineage says, in words that other tools read. See https://slsa.dev/spec/v1.0/provenance.
"""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from tidemill.core.errors import TidemillError
from tidemill.core.files import sha256_file
from tidemill.registry import bill_of_materials
from tidemill.registry.documents import read_object

FILE = "provenance.json"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "pkg:pypi/tidemill#dvc.yaml"
"""What the params mean: the stages of `dvc.yaml`."""
MADE_LATER = (FILE, "model.sig", "version.sig")
"""Files of a version that this one cannot name."""


def write(lineage: dict[str, Any], folder: Path) -> None:
    """Write `provenance.json`, whose subjects are all files of a folder.

    Raises:
        ValueError: in-toto's own check finds it incomplete.
    """
    from google.protobuf.json_format import MessageToDict
    from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
    from in_toto_attestation.v1.statement import Statement

    subjects = [ResourceDescriptor(name=name, digest={"sha256": one}).pb for name, one in hashes(folder).items()]
    statement = Statement(subjects, PREDICATE, _predicate(lineage))
    statement.validate()
    text = json.dumps(MessageToDict(statement.pb), indent=2, ensure_ascii=False)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")


def check(lineage: dict[str, Any], folder: Path) -> str:
    """Hold a version's statement of provenance against its files and its lineage; return what it states.

    Raises:
        TidemillError: it cannot be read, or does not say what they say.
    """
    found = _read(folder / FILE)
    stated = {one.get("name", ""): one["digest"].get("sha256") for one in found["subject"]}
    own = hashes(folder)
    if unlike := sorted(name for name in stated.keys() | own.keys() if stated.get(name) != own.get(name)):
        raise TidemillError(f"{FILE} names another {unlike[0]} than the version holds")
    expected = _predicate(lineage)
    if place := _unlike(found["predicate"], expected):
        raise TidemillError(f"{FILE} and the lineage differ in {place}")
    made_of = len(expected["buildDefinition"]["resolvedDependencies"])
    return f"{len(own)} files, made from the {made_of} dependencies of the lineage"


def hashes(folder: Path) -> dict[str, str]:
    """Hash every file of a version's folder but those that are made later, by path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    named = {path.relative_to(folder).as_posix(): path for path in files}
    return {name: sha256_file(path) for name, path in named.items() if name not in MADE_LATER}


def _predicate(lineage: dict[str, Any]) -> dict[str, Any]:
    environment = lineage["environment"]
    version = environment["packages"].get("tidemill")
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {"system": lineage["system"], "params": lineage["params"]},
            "internalParameters": {
                **{name: lineage[name] for name in ("seeds", "determinism", "device")},
                **{name: environment[name] for name in ("python", "platform", "machine", "processor", "packages")},
            },
            "resolvedDependencies": _dependencies(lineage),
        },
        "runDetails": {
            "builder": {"id": f"pkg:pypi/tidemill@{version}"},
            "metadata": {"invocationId": lineage["run_id"]},
        },
    }


def _dependencies(lineage: dict[str, Any]) -> list[dict[str, Any]]:
    """Return code, downloads, data and locked environment as in-toto's resource descriptors."""
    code = lineage["code"]
    commit = [{"name": "code", "digest": {"gitCommit": code["commit"]}}] if code["commit"] else []
    patch = [{"name": "code.diff", "digest": _digest_of(code["diff"])}] if code["diff"] else []
    downloads = [
        {
            "name": folder,
            "uri": _uri(one["from"][0]),
            **({"digest": {"sha256": one["sha256"]}} if one.get("sha256") else {}),
            **({"annotations": {"licence": one["licence"]}} if one.get("licence") else {}),
        }
        for folder, listed in lineage["sources"].items()
        for one in listed
    ]
    data = [{"name": path, "digest": _dvc_digest(digest)} for path, digest in lineage["data"].items()]
    locks = [{"name": path, "digest": {"sha256": digest}} for path, digest in lineage["environment"]["locks"].items()]
    return [*commit, *patch, *downloads, *data, *locks]


def _uri(address: str) -> str:
    """Return a package's address as its package URL, any other as it is."""
    return str(bill_of_materials.package_url(address) or address)


def _dvc_digest(digest: str) -> dict[str, str]:
    """Return a hash of DVC's; that of a folder is of the list of its files, which in-toto has no name for."""
    algorithm, _, value = digest.partition(":")
    listed = value.endswith(".dir")
    return {f"dvc{algorithm.capitalize()}Dir" if listed else algorithm: value.removesuffix(".dir")}


def _digest_of(text: str) -> dict[str, str]:
    return {"sha256": sha256(text.encode()).hexdigest()}


def _read(path: Path) -> dict[str, Any]:
    """Read a statement by in-toto's own parser."""
    from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
    from in_toto_attestation.v1.statement import Statement
    from in_toto_attestation.v1.statement_pb2 import Statement as Message

    try:
        statement = Statement.copy_from_pb(ParseDict(read_object(path, FILE), Message()))
        statement.validate()
    except (ParseError, ValueError) as error:
        raise TidemillError(f"{FILE} is no in-toto statement: {' '.join(str(error).split())}") from error
    found: dict[str, Any] = MessageToDict(statement.pb)
    if found["predicateType"] != PREDICATE:
        raise TidemillError(f"{FILE} states {found['predicateType']}, not {PREDICATE}")
    return found


def _unlike(found: Any, expected: Any, path: str = "") -> str | None:
    """Return where one document differs from another, if it does."""
    if isinstance(found, dict) and isinstance(expected, dict):
        parts = ((f"{path}.{name}" if path else name, name) for name in [*expected, *(found.keys() - expected.keys())])
        return next(filter(None, (_unlike(found.get(name), expected.get(name), place) for place, name in parts)), None)
    return None if found == expected else path or "all of it"
