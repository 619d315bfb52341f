"""Making a version of the registry from a candidate, once, and saying whether it may challenge the champion."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pandas as pd

from tidemill.config import System
from tidemill.data.tables import blocks, read_table
from tidemill.evaluation import behaviour
from tidemill.files import read_json, sha256_file, write_json
from tidemill.registry import champion, gates, lineage, signing
from tidemill.registry.admission import EVALUATION_TAG, PASSED_TAG, PROPOSER_TAG, REASON_TAG
from tidemill.registry.candidate import Candidate
from tidemill.registry.identity import proposer
from tidemill.registry.package import package
from tidemill.registry.tracking import FOLDER_TAG, SYSTEM_TAG, WEIGHTS_TAG, TrainingRun, connect, experiment_id, runs

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

ALIAS = "challenger"
RESTORED_TAG = "tidemill.restored"
"""Tag of a run that was made after its training, on a tracking server that had not seen it."""
DATASETS = ("train", "test")
DOCUMENTS = ("evaluation.json", "predictions.parquet", "report.html", "model-card.md")
"""Outputs of the evaluate stage that stay with a version."""
REFERENCE = "reference.parquet"
"""Rows of the test, as many at most as below: what new inputs are compared with once the version is in service."""
REFERENCE_ROWS = 1000
DIGEST_LENGTH = 36
"""Longest digest of a data set that MLflow takes; the whole hash is in the data set's profile."""


def register(name: str, system: System, folder: Path) -> dict[str, Any]:
    """Register a candidate; the same weights and evaluation are registered once, however often this is called.

    A call that is killed leaves nothing that another call does not finish: the version comes into being last, whole
    with its tags, and the alias after it.

    Args:
        name: the system; the registered model has its name.
        system: its params.
        folder: its outputs, `artifacts/<name>`.

    Returns:
        name, version, run_id, passed, gates (name, passed, value, limit, sentence, needed_by), champion (its version or null)
        and alias (`challenger`, or null if a gate was not passed).

    Raises:
        TidemillError: a gate names a metric that was not measured, or the evaluation is not of these weights.
    """
    candidate = Candidate(name, system, folder)
    answers = _by_itself(candidate)
    client = connect()
    run = _run(client, candidate)
    serving = champion.find(client, name)
    answers.append(champion.compare(serving, candidate))
    version = _version(client, candidate) or _new_version(client, candidate, run)
    origin = _stored_lineage(client, version)
    answers += [gates.clean_tree(origin), gates.lineage_complete(origin)]
    passed = all(answer.passed for answer in answers if answer.needed_by == gates.CHALLENGER)
    _tell(client, version, answers, passed, serving)
    _move_alias(client, version, passed)
    return {
        "name": name,
        "version": str(version.version),
        "run_id": version.run_id,
        "passed": passed,
        "gates": [asdict(answer) for answer in answers],
        "champion": str(serving.version) if serving else None,
        "alias": ALIAS if passed else None,
    }


def _by_itself(candidate: Candidate) -> list[gates.Answer]:
    """What the gates say of a candidate that is compared with no other."""
    limits, evaluation = candidate.system.gates, candidate.evaluation
    return [
        *gates.within_limits(behaviour.figures(evaluation), limits),
        *gates.every_slice(evaluation, limits.slices),
        *gates.quick_and_small(candidate.latency["p95_ms"], candidate.megabytes, limits),
        gates.validated(candidate.validation),
    ]


def is_registered(system: str, registration: Path) -> bool:
    """Whether the tracking store has the version of a system that its `registration.json` names.

    It has not where that file came out of a cache or from another machine, or the store is new: then the register
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


def _run(client: "MlflowClient", candidate: Candidate) -> "Run":
    """The run of the training, with the metrics of the test; on a fresh server it is made again from the curves."""
    found = runs(client, candidate.name, WEIGHTS_TAG, candidate.weights_sha256)
    run = found[0] if found else _restored_run(client, candidate)
    log = TrainingRun(client, run.info.run_id)
    start = run.info.start_time
    if RESTORED_TAG in run.data.tags:
        log.log_params(candidate.system.model_dump(mode="json", by_alias=True))
        curves = pd.read_csv(candidate.curves)
        rows = zip(curves["name"], curves["value"], curves["step"], strict=True)
        log.log([(str(metric), float(value), int(step), start) for metric, value, step in rows])
        client.set_terminated(run.info.run_id)
    metrics = behaviour.figures(candidate.evaluation).items()
    log.log([(f"test/{metric}", interval["value"], 0, start) for metric, interval in metrics])
    client.log_inputs(run.info.run_id, [_dataset(candidate, split) for split in DATASETS])
    return run


def _restored_run(client: "MlflowClient", candidate: Candidate) -> "Run":
    tags = {SYSTEM_TAG: candidate.name, WEIGHTS_TAG: candidate.weights_sha256, RESTORED_TAG: "true"}
    run_name = f"{candidate.name}-restored-{candidate.weights_sha256[:8]}"
    return client.create_run(experiment_id(client, candidate.name), tags=tags, run_name=run_name)


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
    tags = {WEIGHTS_TAG: candidate.weights_sha256, EVALUATION_TAG: candidate.evaluation_sha256}
    conditions = [f"name = '{candidate.name}'", *(f"tags.`{tag}` = '{value}'" for tag, value in tags.items())]
    return next(iter(client.search_model_versions(" and ".join(conditions))), None)


def _new_version(client: "MlflowClient", candidate: Candidate, run: "Run") -> "ModelVersion":
    """Upload the model with its evaluation and lineage, then make the version with its tags in one call."""
    folder = f"candidate-{candidate.evaluation_sha256[:8]}"
    origin = _lineage(candidate, run)
    with TemporaryDirectory() as scratch:
        staged = Path(scratch) / folder
        staged.mkdir()
        for document in DOCUMENTS:
            shutil.copyfile(candidate.results / document, staged / document)
        write_json(staged / "lineage.json", origin)
        _reference(candidate).to_parquet(staged / REFERENCE, index=False)
        examples = next(blocks(candidate.table("test")))
        package(candidate.model, candidate.system.task, examples, staged / "model")
        signing.sign(staged / "model")
        client.log_artifacts(run.info.run_id, str(staged), folder)
    _ensure_model(client, candidate.name)
    tags = lineage.tags(origin) | {EVALUATION_TAG: candidate.evaluation_sha256, FOLDER_TAG: folder}
    source = f"{run.info.artifact_uri}/{folder}/model"
    return client.create_model_version(candidate.name, source, run.info.run_id, tags=tags)


def _reference(candidate: Candidate) -> pd.DataFrame:
    rows = read_table(candidate.table("test"))
    return rows.sample(min(len(rows), REFERENCE_ROWS), random_state=0).sort_index()


def _lineage(candidate: Candidate, run: "Run") -> dict[str, Any]:
    weights, test_set = candidate.weights_sha256, candidate.evaluation["test_set"]
    device = candidate.config.get("device")
    parent = run.data.tags.get("mlflow.parentRunId")
    return lineage.collect(candidate.name, candidate.system, weights, test_set, device, run.info.run_id, parent)


def _ensure_model(client: "MlflowClient", name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _stored_lineage(client: "MlflowClient", version: "ModelVersion") -> dict[str, Any]:
    """The lineage a version was made with, which a later call in another tree does not change."""
    with TemporaryDirectory() as scratch:
        stored = f"{version.tags[FOLDER_TAG]}/lineage.json"
        origin: dict[str, Any] = read_json(Path(client.download_artifacts(str(version.run_id), stored, scratch)))
    return origin


def _tell(
    client: "MlflowClient",
    version: "ModelVersion",
    answers: list[gates.Answer],
    passed: bool,
    serving: "ModelVersion | None",
) -> None:
    """Write on the version whether it passed and why, in numbers: as tags, and for the eye as its description."""
    lines = [f"- {'passed' if answer.passed else '**not passed**'}: {answer.sentence}" for answer in answers]
    needed = [answer for answer in answers if answer.needed_by == gates.CHALLENGER]
    tags = {
        PASSED_TAG: str(passed).lower(),
        REASON_TAG: "; ".join(answer.sentence for answer in needed if answer.passed == passed),
        champion.COMPARED_TAG: str(serving.version) if serving else champion.NO_CHAMPION,
    }
    by = proposer()
    if by and PROPOSER_TAG not in version.tags:
        tags[PROPOSER_TAG] = by
    for tag, value in tags.items():
        client.set_model_version_tag(version.name, version.version, tag, value)
    client.update_model_version(version.name, version.version, description="\n".join(lines))


def _move_alias(client: "MlflowClient", version: "ModelVersion", passed: bool) -> None:
    """Point `challenger` to a version that passed; take it from one that passes no more."""
    if passed:
        client.set_registered_model_alias(version.name, ALIAS, version.version)
    elif str(client.get_registered_model(version.name).aliases.get(ALIAS)) == str(version.version):
        client.delete_registered_model_alias(version.name, ALIAS)
