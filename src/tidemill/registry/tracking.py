"""Where runs and versions are recorded: one MLflow run a training, gone on with after a crash.

Only `MlflowClient` is used. The store is the one `MLFLOW_TRACKING_URI` names, or SQLite in the project's own
`.tidemill/mlflow/`, so that nothing need be started or configured.
"""

import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tidemill.config import TRACKING_STORE
from tidemill.errors import TidemillError
from tidemill.files import finished_file

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

SYSTEM_TAG = "tidemill.system"
TRAINING_TAG = "tidemill.training_key"
WEIGHTS_TAG = "tidemill.weights_sha256"
FOLDER_TAG = "tidemill.folder"
"""Tag of a version: the folder of its run's artifacts that holds its model and evaluation."""
MODEL = "model/artifacts/model"
"""Where in that folder the weights and their JSON are: inside of MLflow's model."""

# Limits of MLflow's stores on one call (mlflow.utils.validation).
METRICS_A_CALL = 1000
PARAMS_A_CALL = 100
PARAM_LENGTH = 6000

SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_UV_AUTO_DETECT": "false",  # else MLflow asks uv what a model requires; the lock says it
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


class Point(NamedTuple):
    """One value of a metric."""

    name: str
    value: float
    step: int
    timestamp: int
    """Milliseconds since 1970."""


@dataclass(frozen=True)
class TrainingRun:
    """An open MLflow run."""

    client: "MlflowClient"
    id: str

    def log(self, points: Sequence[tuple[str, float, int, int]]) -> None:
        """Log points of curves (see `Point`), up to a thousand in one call.

        The store keeps points that are equal in all four fields once, however often they are logged.
        """
        from mlflow.entities import Metric

        metrics = [Metric(name, value, timestamp, step) for name, value, step, timestamp in points]
        for start in range(0, len(metrics), METRICS_A_CALL):
            self.client.log_batch(self.id, metrics=metrics[start : start + METRICS_A_CALL])

    def log_params(self, params: dict[str, Any]) -> None:
        """Log params under their dotted paths; those the run has already are left as they are."""
        from mlflow.entities import Param

        known = self.client.get_run(self.id).data.params
        new = [Param(path, value) for path, value in flattened(params).items() if path not in known]
        for start in range(0, len(new), PARAMS_A_CALL):
            self.client.log_batch(self.id, params=new[start : start + PARAMS_A_CALL])

    def tag_weights(self, sha256: str) -> None:
        """Name the weights that came out, by which `register` finds the run again."""
        self.client.set_tag(self.id, WEIGHTS_TAG, sha256)


@contextmanager
def training_run(system: str, key: str, params: dict[str, Any], resumed: bool = False) -> Iterator[TrainingRun]:
    """The one run of a training: a new one, or the one of the same inputs that was not finished.

    It ends FINISHED, or FAILED where the block raises; a process that is killed leaves it RUNNING. In the last two
    cases the next training of the same key goes on in it.

    Args:
        system: name of the system; its runs are one MLflow experiment.
        key: hash of all that the training reads.
        params: what to log as the run's params; nested blocks get dotted names.
        resumed: whether the training goes on from a checkpoint; then its run is gone on with even if it is finished,
            for the kill may have come between the end of the run and the end of the stage.
    """
    client = connect()
    run = TrainingRun(client, _earlier_run(client, system, key, resumed) or _new_run(client, system, key))
    client.update_run(run.id, status="RUNNING")
    try:
        run.log_params(params)
        yield run
    except BaseException:
        client.set_terminated(run.id, "FAILED")
        raise
    client.set_terminated(run.id, "FINISHED")


def connect() -> "MlflowClient":
    """A client of the tracking store, which is made if the project has none."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    uri = store_uri()
    if uri == _own_store_uri():
        _create_own_store()
    return MlflowClient(uri)


def store_uri() -> str:
    """Address of the tracking store, as MLflow's own commands take it (`mlflow ui --backend-store-uri …`)."""
    return os.environ.get("MLFLOW_TRACKING_URI") or _own_store_uri()


def store_folder() -> Path:
    """Folder of the project's own store: `mlflow.db` and `artifacts/`."""
    return project_root() / TRACKING_STORE.parent


def project_root() -> Path:
    """The working folder or, for an experiment that DVC runs in a temporary copy, the project it was copied from."""
    here = Path.cwd()
    copies = (folder for folder in here.parents if folder.parts[-3:] == (".dvc", "tmp", "exps"))
    return next((folder.parents[2] for folder in copies), here)


def experiment_id(client: "MlflowClient", system: str) -> str:
    """The MLflow experiment of a system, made if there is none.

    Raises:
        TidemillError: the store does not answer.
    """
    from mlflow.exceptions import MlflowException

    try:
        found = client.get_experiment_by_name(system)
        return found.experiment_id if found else _new_experiment(client, system)
    except MlflowException as error:
        raise TidemillError(f"MLflow's store {store_uri()} cannot be used: {error.message.splitlines()[0]}") from error


def runs(client: "MlflowClient", system: str, tag: str, value: str) -> "list[Run]":
    """Runs of a system that carry a tag, the newest first."""
    experiment = experiment_id(client, system)
    return list(client.search_runs([experiment], f"tags.`{tag}` = '{value}'", order_by=["start_time DESC"]))


def flattened(params: dict[str, Any]) -> dict[str, str]:
    """Nested params by dotted path, as text: `{"schedule": {"name": "fixed"}}` is `{"schedule.name": "fixed"}`."""
    return {path: _text(value)[:PARAM_LENGTH] for path, value in _leaves(params, "")}


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and (value or not path):
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}" if path else str(name))
    else:
        yield path, value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _earlier_run(client: "MlflowClient", system: str, key: str, resumed: bool) -> str | None:
    found = (run.info for run in runs(client, system, TRAINING_TAG, key))
    return next((info.run_id for info in found if resumed or info.status != "FINISHED"), None)


def _new_run(client: "MlflowClient", system: str, key: str) -> str:
    tags = {SYSTEM_TAG: system, TRAINING_TAG: key}
    run = client.create_run(experiment_id(client, system), tags=tags, run_name=f"{system}-{key[:8]}")
    return str(run.info.run_id)


def _new_experiment(client: "MlflowClient", system: str) -> str:
    """Its artifacts go where a server says; a bare database says nothing and would leave them in the working folder."""
    location = None if store_uri().startswith("http") else (store_folder() / "artifacts" / system).as_uri()
    return str(client.create_experiment(system, artifact_location=location))


def _own_store_uri() -> str:
    return f"sqlite:///{store_folder() / TRACKING_STORE.name}"


def _create_own_store() -> None:
    """Make the SQLite file whole or not at all: two processes that make its tables at once break each other's."""
    from filelock import FileLock

    database = store_folder() / TRACKING_STORE.name
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
