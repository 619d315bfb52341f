"""What a request is about: each function names one kind of resource, or None for a request about something else."""

import re
from typing import Any

from tidemill.registry.guard.decisions import Log, is_ordinary, log_of
from tidemill.registry.guard.requests import Request
from tidemill.registry.guard.rights import SERVER, Resource

RUN_FILE = re.compile(r"(?P<experiment>\d+)/(?P<run>[0-9a-f]{32})/artifacts/(?P<file>.+)")


def server(_: Request) -> Resource:
    """The server as a whole."""
    return SERVER


def model(request: Request) -> Resource:
    """The registered model that is named."""
    return Resource("registered_model", request.message.name)


def existing_model(request: Request) -> Resource | None:
    """The registered model that is to be created, if it exists: MLflow then answers that it does."""
    from mlflow.exceptions import MlflowException
    from mlflow.server import handlers

    try:
        handlers._get_model_registry_store().get_registered_model(request.message.name)
    except MlflowException:
        return None
    return model(request)


def experiment(request: Request) -> Resource | None:
    """An experiment, or that of a run, which has nothing to do with decisions."""
    found = experiment_of(request.message)
    return Resource("experiment", str(found.experiment_id)) if is_ordinary(found.name) else None


def decision_log(request: Request) -> Resource | None:
    """The model whose decision log the request is about."""
    return _system(log_of(experiment_of(request.message).name), is_draft=False)


def draft_of_log(request: Request) -> Resource | None:
    """The model whose decision log is being made."""
    return _system(log_of(experiment_of(request.message).name), is_draft=True)


def new_experiment(request: Request) -> Resource | None:
    """An experiment to be created that has nothing to do with decisions."""
    return SERVER if is_ordinary(request.message.name) else None


def new_draft_of_log(request: Request) -> Resource | None:
    """The model whose decision log is to be made."""
    return _system(log_of(request.message.name), is_draft=True)


def run_file(request: Request) -> Resource | None:
    """The experiment of the run that a file is stored with, if it has nothing to do with decisions."""
    from mlflow.server import handlers

    found = parts_of_file(request)
    if found is None:
        return None
    store = handlers._get_tracking_store()
    owner = store.get_experiment(store.get_run(found["run"]).info.experiment_id)
    if str(owner.experiment_id) != found["experiment"] or not is_ordinary(owner.name):
        return None
    return Resource("experiment", found["experiment"])


def parts_of_file(request: Request) -> "re.Match[str] | None":
    """Experiment, run and file that a path means to MLflow's artifact store, if it is written the plain way."""
    from mlflow.utils.uri import validate_path_is_safe

    path = validate_path_is_safe(request.path["artifact_path"])
    return None if {"", "."} & set(path.split("/")) else RUN_FILE.fullmatch(path)


def experiment_of(message: Any) -> Any:
    """The experiment that a message names itself or by one of its runs.

    Raises:
        MlflowException: there is no such experiment or run.
    """
    from mlflow.server import handlers

    store = handlers._get_tracking_store()
    if "experiment_id" in message.DESCRIPTOR.fields_by_name:
        return store.get_experiment(message.experiment_id)
    run = message.run_id or getattr(message, "run_uuid", "")  # as MLflow's handlers choose
    return store.get_experiment(store.get_run(run).info.experiment_id)


def _system(log: Log | None, is_draft: bool) -> Resource | None:
    return Resource("registered_model", log.system) if log and log.is_draft == is_draft else None
