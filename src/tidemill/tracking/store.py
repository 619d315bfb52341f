"""The tracking store: the one that `MLFLOW_TRACKING_URI` names, or SQLite in the project's own `.tidemill/mlflow/`.

Nothing need be started or configured. Only `MlflowClient` is used.
"""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tidemill.core.errors import TidemillError
from tidemill.core.files import finished_file

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

TRACKING_STORE = Path(".tidemill/mlflow/mlflow.db")

PASSWORD = re.compile(r"(://[^\s/:@]*):(?!\d+/)[^\s@]+@")
"""What stands between name and host of an address; not a port whose path has an `@` (`http://host:5000/…@champion`)."""

RAISERS = ("mlflow", "sqlalchemy")
"""Packages whose exceptions tell of a store; they need not be loaded for a command that opens none."""

SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_UV_AUTO_DETECT": "false",  # otherwise MLflow asks uv for a model's requirements; the lock files name them
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


def connect() -> "MlflowClient":
    """Return a client of the tracking store; create the store if the project has none.

    Raises:
        TidemillError: `MLFLOW_TRACKING_URI` names no store, or one that does not respond.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    uri = store_uri()
    if uri == _own_store_uri():
        _create_own_store()
    logging.getLogger("mlflow.store.db.utils").addFilter(_tells_no_traceback)
    try:
        return MlflowClient(uri)
    except Exception as error:  # of MLflow, SQLAlchemy, the database's driver, and whatever parses an address
        raise TidemillError(f"MLflow's store {shown_uri()} cannot be opened: {_line(error)}") from error


def store_uri() -> str:
    """Return the address of the tracking store, as MLflow's commands take it (`mlflow ui --backend-store-uri …`)."""
    return os.environ.get("MLFLOW_TRACKING_URI") or _own_store_uri()


def shown_uri() -> str:
    """Return the address of the tracking store as a message may show it."""
    return without_password(store_uri())


def without_password(text: str) -> str:
    """Return a text with the password of every address in it left out."""
    return PASSWORD.sub(r"\1:***@", text)


def store_folder() -> Path:
    """Return the folder of the project's own store: `mlflow.db` and `artifacts/`."""
    return project_root() / TRACKING_STORE.parent


def own_folder() -> Path:
    """Return `.tidemill/`, which holds stores, keys and caches: its owner alone can open it; create it if need be."""
    folder = store_folder().parent
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if folder.stat().st_mode & 0o077 and folder.stat().st_uid == os.getuid():
        folder.chmod(0o700)
    return folder


def project_root() -> Path:
    """Return the working folder or, in a temporary copy where DVC runs an experiment, the project that was copied."""
    here = Path.cwd()
    copies = (folder for folder in here.parents if folder.parts[-3:] == (".dvc", "tmp", "exps"))
    return next((folder.parents[2] for folder in copies), here)


def experiment_id(client: "MlflowClient", system: str) -> str:
    """Return the MLflow experiment of a system; create it if there is none.

    Raises:
        TidemillError: the store does not respond.
    """
    from mlflow.exceptions import MlflowException

    try:
        found = client.get_experiment_by_name(system)
        return found.experiment_id if found else _new_experiment(client, system)
    except MlflowException as error:
        raise TidemillError(f"MLflow's store {shown_uri()} cannot be used: {_line(error)}") from error


@contextmanager
def failing_in_one_line() -> Iterator[None]:
    """Turn what MLflow raises where its store fails in the middle, on a full disk or without its server, into one line.

    Raises:
        TidemillError: the store failed, or its server refused what was asked.
    """
    try:
        yield
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in RAISERS:
            raise
        from mlflow.exceptions import MlflowException

        if isinstance(error, MlflowException) and error.error_code == "PERMISSION_DENIED":
            raise TidemillError(
                f"MLflow's server {shown_uri()} does not allow that to this account: {_line(error)}"
            ) from error
        raise TidemillError(f"MLflow's store has failed: {_line(error)}; mend it, and run again") from error


def runs(client: "MlflowClient", system: str, tag: str, value: str) -> "list[Run]":
    """Return the runs of a system that carry a tag, the newest first."""
    experiment = experiment_id(client, system)
    return list(client.search_runs([experiment], f"tags.`{tag}` = '{value}'", order_by=["start_time DESC"]))


def _new_experiment(client: "MlflowClient", system: str) -> str:
    """Create an experiment. A server says where artifacts go; a bare database would leave them in the working folder."""
    location = None if store_uri().startswith("http") else (store_folder() / "artifacts" / system).as_uri()
    return str(client.create_experiment(system, artifact_location=location))


def _tells_no_traceback(record: logging.LogRecord) -> bool:
    """Return whether a message of MLflow's is no traceback: what it raises is told as one line."""
    return record.exc_info is None


def _line(error: Exception) -> str:
    """Return what an exception says as one line, without passwords."""
    return without_password(" ".join(str(error).split())[:300])


def _own_store_uri() -> str:
    return f"sqlite:///{store_folder() / TRACKING_STORE.name}"


def _create_own_store() -> None:
    """Create the SQLite file whole or not at all: two processes creating its tables at once would break each other's."""
    from filelock import FileLock

    database = store_folder() / TRACKING_STORE.name
    own_folder()
    database.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(database.with_suffix(".lock")):
        if not database.exists():
            with finished_file(database) as partial:
                _create_tables(partial)


def _create_tables(database: Path) -> None:
    import warnings

    from mlflow import MlflowClient

    database.unlink(missing_ok=True)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # alembic's notes on MLflow's own old migrations
        MlflowClient(f"sqlite:///{database}")
