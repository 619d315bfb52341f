"""Finding a version of the registry by its address, and bringing its files."""

import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from tidemill.errors import TidemillError
from tidemill.registry.tracking import FOLDER_TAG, connect, store_uri

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

ADDRESS = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+))")


def find(address: str) -> "ModelVersion":
    """The version that `models:/name@alias` or `models:/name/number` names now.

    Raises:
        TidemillError: this is no such address, or the registry has no such version.
    """
    from mlflow.exceptions import MlflowException

    parts = ADDRESS.fullmatch(address)
    if parts is None:
        raise TidemillError(f"{address!r} names no version: write models:/digits@champion or models:/digits/3")
    client = connect()
    try:
        if parts["alias"]:
            return client.get_model_version_by_alias(parts["name"], parts["alias"])
        return client.get_model_version(parts["name"], parts["version"])
    except MlflowException as error:
        reason = error.message.splitlines()[0]
        raise TidemillError(f"{address} is not in the registry {store_uri()}: {reason}") from error


def bring(version: "ModelVersion", path: str, folder: Path) -> Path:
    """A file or folder that was registered with a version, copied into `folder`; the path `.` is all of them.

    Raises:
        TidemillError: it was not registered with it, or cannot be had.
    """
    from mlflow.exceptions import MlflowException

    place = f"{version.name}/{version.version}"
    if FOLDER_TAG not in version.tags:
        raise TidemillError(f"models:/{place} has no tag {FOLDER_TAG}: it was not registered by the register stage")
    try:
        stored = PurePosixPath(version.tags[FOLDER_TAG], path)
        found = connect().download_artifacts(str(version.run_id), str(stored), str(folder))
    except (MlflowException, OSError) as error:
        raise TidemillError(f"models:/{place} has no {path} that can be read: {error}") from error
    return Path(found)
