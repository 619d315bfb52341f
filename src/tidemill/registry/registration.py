"""Making a version of the registry from a candidate, once, and whether it may challenge the champion."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pandas as pd

from tidemill.core.errors import TidemillError
from tidemill.core.files import read_json, sha256_file, write_json
from tidemill.core.tables import blocks, read_table
from tidemill.registry import (
    bill_of_materials,
    champion,
    checks,
    comparing,
    content,
    licences,
    lineage,
    outcome,
    provenance_statement,
    versions,
)
from tidemill.registry.candidate import Candidate
from tidemill.registry.package import package
from tidemill.registry.params import gates
from tidemill.tracking import tags
from tidemill.tracking.points import Point
from tidemill.tracking.run import TrainingRun
from tidemill.tracking.store import connect, experiment_id, failing_in_one_line, own_folder, runs

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

DATASETS = ("train", "test")
DOCUMENTS = (versions.EVALUATION, versions.PREDICTIONS, versions.REPORT, versions.CARD)
"""Outputs of the evaluate stage that stay with a version."""
REFERENCE_ROWS = 1000
"""Rows of the test set that stay with a version, at most."""
FOLDER_DIGITS = 16
"""Of the evaluation's hash in the name of a version's folder; versions whose model alone was signed have 8 of them."""
DIGEST_LENGTH = 36
"""Longest digest of a data set that MLflow accepts; the whole hash is in the data set's profile."""


@failing_in_one_line()
def register(name: str, params: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Register a candidate; the same weights and evaluation are registered once, however often this is called.

    A call that is killed leaves nothing that another call does not complete: the version is created last, with all its
    tags, and the alias after it.

    Args:
        name: the system; the registered model has its name.
        params: its blocks as they stand in `params.yaml`, recorded in the lineage.
        folder: its outputs, `artifacts/<name>`.

    Returns:
        name, version, run_id, passed, gates (name, passed, value, limit, sentence, needed_by), champion (its version or
        null) and alias (`challenger`, or null if a gate was not passed).

    Raises:
        TidemillError: a gate names a metric that was not measured, or the evaluation is not of these weights.
    """
    from filelock import FileLock

    with FileLock(own_folder() / f"register-{name}.lock"):  # two at once would both find no version of these weights
        return _register(name, params, folder)


def _register(name: str, params: dict[str, Any], folder: Path) -> dict[str, Any]:
    candidate = Candidate(name, params, folder)
    found = _checks_of(candidate)
    client = connect()
    run = _run(client, candidate)
    serving = champion.by_log(client, name)
    found.append(comparing.compare(serving, candidate))
    version = _version(client, candidate) or _new_version(client, candidate, run)
    origin, files, proposal = _stored(version, candidate)
    found += [checks.clean_tree(origin), checks.lineage_complete(origin)]
    passed = all(check.passed for check in found if check.needed_by == tags.CHALLENGER)
    version = outcome.record(client, version, found, files, proposal, serving)
    outcome.describe(client, version, found, candidate, serving)
    outcome.move_alias(client, version, passed)
    return {
        "name": name,
        "version": str(version.version),
        "run_id": version.run_id,
        "passed": passed,
        "gates": [asdict(check) for check in found],
        "champion": str(serving.version) if serving else None,
        "alias": tags.CHALLENGER if passed else None,
    }


def is_registered(system: str, registration: Path) -> bool:
    """Whether the tracking store has the version of a system that its `registration.json` names.

    It does not where that file came out of a cache or from another machine, or the store is new: then the register
    stage has to run again.
    """
    if not registration.exists():
        return False
    from mlflow.exceptions import MlflowException

    recorded = read_json(registration)
    try:
        version = connect().get_model_version(system, recorded["version"])
    except MlflowException:
        return False
    return bool(version.run_id == recorded["run_id"])


def _checks_of(candidate: Candidate) -> list[checks.Check]:
    """Check the gates that compare a candidate with no other version.

    Raises:
        TidemillError: a gate names a metric that was not measured, be it the one to compare with the champion by.
    """
    known = gates()
    if candidate.gates.metric is not None:
        checks.value_of(candidate.evaluation["metrics"], candidate.gates.metric)
    limits = candidate.gates.limits.items()
    found = [check for name, limit in limits for check in known[name].check(limit, candidate)]
    return [*found, checks.validated(candidate.validation)]


def _run(client: "MlflowClient", candidate: Candidate) -> "Run":
    """Return the run of the training, with the metrics of the test; on a fresh server, restored from the curves."""
    found = runs(client, candidate.name, tags.WEIGHTS, candidate.weights_sha256)
    run = found[0] if found else _restored_run(client, candidate)
    log = TrainingRun(client, run.info.run_id)
    start = run.info.start_time
    if tags.RESTORED in run.data.tags:
        log.log_params(candidate.params)
        curves = pd.read_csv(candidate.curves)
        rows = zip(curves["name"], curves["value"], curves["step"], strict=True)
        log.log([Point(str(metric), float(value), int(step), start) for metric, value, step in rows])
        client.set_terminated(run.info.run_id)
    measured = checks.measurements(candidate.evaluation).items()
    log.log([Point(f"test/{metric}", interval["value"], 0, start) for metric, interval in measured])
    client.log_inputs(run.info.run_id, [_dataset(candidate, split) for split in DATASETS])
    return run


def _restored_run(client: "MlflowClient", candidate: Candidate) -> "Run":
    named = {tags.SYSTEM: candidate.name, tags.WEIGHTS: candidate.weights_sha256, tags.RESTORED: "true"}
    run_name = f"{candidate.name}-restored-{candidate.weights_sha256[:8]}"
    return client.create_run(experiment_id(client, candidate.name), tags=named, run_name=run_name)


def _dataset(candidate: Candidate, split: str) -> Any:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    path = candidate.table(split)
    sha256 = sha256_file(path)
    dataset = Dataset(
        name=f"{candidate.name}/{split}",
        digest=sha256[:DIGEST_LENGTH],
        source_type="local",
        source=json.dumps({"uri": path.as_posix()}),
        profile=json.dumps({"sha256": sha256}),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", split)])


def _version(client: "MlflowClient", candidate: Candidate) -> "ModelVersion | None":
    """Return the version of these weights and this evaluation, unless it is of before the whole of one was signed."""
    named = {tags.WEIGHTS: candidate.weights_sha256, tags.EVALUATION: candidate.evaluation_sha256}
    conditions = [f"name = '{candidate.name}'", *(f"tags.`{tag}` = '{value}'" for tag, value in named.items())]
    return next(filter(content.is_signed, client.search_model_versions(" and ".join(conditions))), None)


def _new_version(client: "MlflowClient", candidate: Candidate, run: "Run") -> "ModelVersion":
    """Upload the model with its evaluation and lineage, then create the version with its tags in one call."""
    folder = f"candidate-{candidate.evaluation_sha256[:FOLDER_DIGITS]}"
    with TemporaryDirectory() as scratch:
        staged = Path(scratch) / folder
        staged.mkdir()
        write_json(staged / versions.LINEAGE, _lineage(candidate, run))
        origin = lineage.read(staged / versions.LINEAGE)
        for document in DOCUMENTS:
            shutil.copyfile(candidate.results / document, staged / document)
        card = (staged / versions.CARD).read_text(encoding="utf-8")
        (staged / versions.CARD).write_text(licences.with_section(card, origin), encoding="utf-8")
        write_json(staged / versions.PROPOSAL, outcome.proposal())
        _reference(candidate).to_parquet(staged / versions.REFERENCE, index=False)
        examples = next(blocks(candidate.table("test")))
        package(candidate.model, candidate.params["task"], examples, staged / "model")
        bill_of_materials.write(origin, staged)
        provenance_statement.write(origin, staged)
        content.sign(staged)
        client.log_artifacts(run.info.run_id, str(staged), folder)
    _ensure_model(client, candidate.name)
    named = lineage.as_tags(origin) | {tags.EVALUATION: candidate.evaluation_sha256, tags.FOLDER: folder}
    source = f"{run.info.artifact_uri}/{folder}/model"
    return client.create_model_version(candidate.name, source, run.info.run_id, tags=named)


def _reference(candidate: Candidate) -> pd.DataFrame:
    rows = read_table(candidate.table("test"))
    return rows.sample(min(len(rows), REFERENCE_ROWS), random_state=0).sort_index()


def _lineage(candidate: Candidate, run: "Run") -> dict[str, Any]:
    return lineage.collect(
        candidate.name,
        candidate.params,
        candidate.config,
        candidate.evaluation,
        candidate.weights_sha256,
        run.info.run_id,
        run.data.tags.get(tags.PARENT),
    )


def _ensure_model(client: "MlflowClient", name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _stored(
    version: "ModelVersion", candidate: Candidate
) -> tuple[dict[str, Any], dict[str, str], dict[str, str | None]]:
    """Return the lineage a version was made with, which a later call in another tree does not change; its files, proposal.

    Raises:
        TidemillError: what the registry holds is not what was signed, or is not this candidate.
    """
    with TemporaryDirectory() as scratch:
        folder = content.fetched(version, Path(scratch))
        content.verify_files(version, folder)
        stored = content.Content(folder, None).hashes()
        for part, own in (("weights", candidate.weights_sha256), ("evaluation", candidate.evaluation_sha256)):
            if stored[part] != own:
                raise TidemillError(f"models:/{version.name}/{version.version}: its {part} is not that of its tags")
        origin, proposal = (read_json(folder / name) for name in (versions.LINEAGE, versions.PROPOSAL))
        return origin, content.files(folder), proposal
