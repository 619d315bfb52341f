"""What else a request has to meet: conditions on aliases, tags, names and files."""

import re
from collections.abc import Callable, Collection
from typing import Any

from tidemill.registry.guard.decisions import is_ordinary, log_of
from tidemill.registry.guard.requests import Request
from tidemill.registry.guard.subjects import experiment_of, parts_of_file
from tidemill.tracking import tags as stored

Condition = Callable[[Request], bool]

FREE_TAG = re.compile(r"[\w -]+")
"""Tags without a namespace, which Tidemill and MLflow give no meaning."""


def always(_: Request) -> bool:
    """No condition."""
    return True


def alias(name: str) -> Condition:
    """The request moves or deletes this alias."""
    return lambda request: bool(request.message.alias == name)


def tag(allowed: Collection[str] = ()) -> Condition:
    """The request sets or deletes one of these tags, or a free one."""
    return lambda request: _is_free_or(allowed, request.message.key)


def tags(allowed: Collection[str]) -> Condition:
    """All tags in the request are among these, or free; a proposer is named by their account."""

    def met(request: Request) -> bool:
        return all(
            _is_free_or(allowed, one.key) or (one.key == stored.PROPOSER and one.value == request.account)
            for one in request.message.tags
        )

    return met


def of_no_champion(condition: Condition) -> Condition:
    """The condition is met, and the version is not in service: what it was approved on stays."""
    return lambda request: condition(request) and not _is_champion(request.message)


def claims_the_proposal(request: Request) -> bool:
    """The account names itself as the proposer of a version that has none."""
    asked = request.message
    return (
        asked.key == stored.PROPOSER and asked.value == request.account and stored.PROPOSER not in _version(asked).tags
    )


def claims_the_decision(request: Request) -> bool:
    """The account names itself as the one who decides."""
    return bool(request.message.key == stored.DECIDED_BY and request.message.value == request.account)


def without_location(request: Request) -> bool:
    """The new experiment's artifacts go where the server puts them, not where another experiment has its own."""
    return not request.message.artifact_location


def to_an_ordinary_name(request: Request) -> bool:
    """The experiment gets a name that has nothing to do with decisions."""
    return is_ordinary(request.message.new_name)


def to_its_log(request: Request) -> bool:
    """A draft becomes the decision log of its own system."""
    log, becomes = log_of(experiment_of(request.message).name), log_of(request.message.new_name)
    return log is not None and becomes is not None and log.system == becomes.system and not becomes.is_draft


def first_run(request: Request) -> bool:
    """The experiment has no run yet: a decision log is one run."""
    from mlflow.entities import ViewType
    from mlflow.server import handlers

    found = handlers._get_tracking_store().search_runs([request.message.experiment_id], "", ViewType.ALL, 1)
    return not found


def not_of_a_version(request: Request) -> bool:
    """The file does not belong to a registered version."""
    from mlflow.server import handlers

    found = parts_of_file(request)
    if found is None:
        return False
    versions = handlers._get_model_registry_store().search_model_versions(f"run_id = '{found['run']}'", 10_000)
    folder = found["file"].partition("/")[0]
    return all(folder not in _folders(version, found["run"]) for version in versions)


def _folders(version: Any, run: str) -> set[str]:
    """The folders of a run that hold files of a version, by its tag and by its source."""
    source = str(version.source).partition(f"{run}/artifacts/")[2]
    return {version.tags.get(stored.FOLDER, ""), source.partition("/")[0]}


def _version(asked: Any) -> Any:
    from mlflow.server import handlers

    return handlers._get_model_registry_store().get_model_version(asked.name, asked.version)


def _is_champion(asked: Any) -> bool:
    from mlflow.server import handlers

    aliases = handlers._get_model_registry_store().get_registered_model(asked.name).aliases
    return str(aliases.get(stored.CHAMPION)) == str(asked.version)


def _is_free_or(allowed: Collection[str], key: str) -> bool:
    return key in allowed or FREE_TAG.fullmatch(key) is not None
