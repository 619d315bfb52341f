"""Everything that can be checked of a version without a network: signature, statement, files, documents, decisions."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tidemill.core.errors import TidemillError
from tidemill.core.files import sha256_file
from tidemill.models.common.networks import WEIGHTS
from tidemill.registry import bill_of_materials, champion, content, lineage, provenance_statement, statement, versions
from tidemill.registry.decision_log import DecisionLog, approval_of
from tidemill.registry.documents import read_object
from tidemill.tracking.store import connect

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

FIRST_SCHEMA = 3
"""Of the lineage of the first versions that have a bill of materials and a statement of provenance."""


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    check: str
    passed: bool
    sentence: str


def verify(version: "ModelVersion") -> Iterator[Finding]:
    """Check a version; each check is made, whatever the others find.

    Raises:
        TidemillError: its files cannot be downloaded.
    """
    checks: dict[str, Callable[[ModelVersion, Path], str]] = {
        "signature": _signature,
        "statement": _statement,
        "files": _files,
        "lineage": _lineage,
        "bill of materials": _bill_of_materials,
        "provenance": _provenance,
        "decision log": _decisions,
    }
    with TemporaryDirectory() as scratch:
        folder = content.fetched(version, Path(scratch))
        for name, check in checks.items():
            try:
                yield Finding(name, True, check(version, folder))
            except TidemillError as error:
                yield Finding(name, False, str(error))


def _signature(version: "ModelVersion", folder: Path) -> str:
    content.verify_files(version, folder)
    whole = (folder / content.SIGNATURE).exists()
    return f"{content.SIGNATURE} is of these files" if whole else content.MODEL_ONLY


def _statement(version: "ModelVersion", folder: Path) -> str:
    stated = statement.of(version)
    if stated is None:
        if (folder / content.SIGNATURE).exists():
            raise TidemillError("nobody has stated what it holds")
        return f"none: {content.MODEL_ONLY}"
    if rewritten := statement.rewritten(version, stated):
        raise TidemillError(rewritten[0])
    return f"proposed by {stated.by}; {'passed' if stated.passed else 'did not pass'} its gates"


def _files(version: "ModelVersion", folder: Path) -> str:
    """Hold each file against the hash that the statement has of it."""
    own, stated = content.files(folder), statement.of(version)
    if stated is None:
        return f"{len(own)} files and folders, none of them stated: {content.MODEL_ONLY}"
    if unlike := sorted(name for name in own.keys() | stated.files.keys() if own.get(name) != stated.files.get(name)):
        raise TidemillError(f"{unlike[0]} is not what was stated")
    return f"{len(own)} files and folders have the stated hashes"


def _lineage(_: "ModelVersion", folder: Path) -> str:
    origin = lineage.read(folder / versions.LINEAGE)
    evaluation = read_object(folder / versions.EVALUATION, versions.EVALUATION)
    weights = sha256_file(folder / versions.MODEL / WEIGHTS)
    for document, named in ((versions.LINEAGE, origin), (versions.EVALUATION, evaluation)):
        if named.get("weights_sha256") != weights:
            raise TidemillError(f"{document} is of other weights")
    if (evaluation.get("test_set") or {}).get("sha256") != origin["test_set"]["sha256"]:
        raise TidemillError(f"{versions.EVALUATION} is of another test set than {versions.LINEAGE} names")
    return f"of these weights, commit {str(origin['code']['commit'])[:12]}"


def _bill_of_materials(_: "ModelVersion", folder: Path) -> str:
    return _document(folder, bill_of_materials.FILE, bill_of_materials.check)


def _provenance(_: "ModelVersion", folder: Path) -> str:
    return _document(folder, provenance_statement.FILE, provenance_statement.check)


def _document(folder: Path, name: str, check: Callable[[dict[str, Any], Path], str]) -> str:
    """Check a document that older versions do not have."""
    origin = lineage.read(folder / versions.LINEAGE)
    if (origin["schema_version"] or 0) < FIRST_SCHEMA and not (folder / name).exists():
        return f"none: versions of then have no {name}"
    return check(origin, folder)


def _decisions(version: "ModelVersion", folder: Path) -> str:
    """Verify the log of the system, and hold the version against what was reviewed when it was approved."""
    system, number = str(version.name), str(version.version)
    entries = DecisionLog(connect(), system).entries()
    champion.believed(system, entries)
    approval = approval_of(entries, number)
    if approval is None:
        return f"{len(entries)} decisions verify, none approves this version"
    if differs := champion.differing(entries, number, content.Content(folder, None)):
        raise TidemillError(differs)
    return f"approved in decision {approval.number} by {approval.who} ({approval.identity})"
