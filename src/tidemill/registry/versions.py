"""Finding a version of the registry by its address, and downloading its files."""

import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from tidemill.core.errors import TidemillError
from tidemill.tracking import tags
from tidemill.tracking.store import connect, shown_uri, without_password

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

ADDRESS = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+))")

MODEL = "model/artifacts/model"
"""Folder, among a version's files, of the weights and their JSON: inside of MLflow's model."""
EVALUATION = "evaluation.json"
PREDICTIONS = "predictions.parquet"
REPORT = "report.html"
CARD = "model-card.md"
LINEAGE = "lineage.json"
PROPOSAL = "proposal.json"
"""Who proposed it: `proposer`, `identity`."""
REFERENCE = "reference.parquet"
"""Rows of the test set that new inputs are compared with once the version is in service."""


def find(address: str) -> "ModelVersion":
    """Return the version that `models:/name@alias` or `models:/name/number` names now.

    Raises:
        TidemillError: this is no such address, or the registry has no such version.
    """
    from mlflow.exceptions import MlflowException

    parts = ADDRESS.fullmatch(address)
    if parts is None:
        raise TidemillError(f"{address!r} names no version: write models:/digits@{tags.CHAMPION} or models:/digits/3")
    client = connect()
    try:
        if parts["alias"]:
            return client.get_model_version_by_alias(parts["name"], parts["alias"])
        return client.get_model_version(parts["name"], parts["version"])
    except MlflowException as error:
        reason = without_password(error.message.splitlines()[0])
        raise TidemillError(f"{address} is not in the registry {shown_uri()}: {reason}") from error


def download(version: "ModelVersion", path: str, folder: Path) -> Path:
    """Copy a file or folder that was registered with a version into `folder`; the path `.` is all of them.

    Raises:
        TidemillError: it was not registered with the version, or cannot be read.
    """
    from mlflow.exceptions import MlflowException

    place = f"{version.name}/{version.version}"
    if tags.FOLDER not in version.tags:
        raise TidemillError(f"models:/{place} has no tag {tags.FOLDER}: it was not registered by the register stage")
    try:
        stored = PurePosixPath(version.tags[tags.FOLDER], path)
        found = connect().download_artifacts(str(version.run_id), str(stored), str(folder))
    except (MlflowException, OSError) as error:
        raise TidemillError(f"models:/{place} has no {path} that can be read: {error}") from error
    return Path(found)
