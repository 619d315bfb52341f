"""Comparing a candidate with the champion, example by example, on the test set of today."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pandas as pd

from tidemill import tasks
from tidemill.data.tables import read_table
from tidemill.errors import TidemillError
from tidemill.files import read_json
from tidemill.registry import gates, signing
from tidemill.registry.candidate import Candidate
from tidemill.registry.tracking import MODEL

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

ALIAS = "champion"
COMPARED_TAG = "tidemill.compared_with"
"""Tag of a version: the champion its gates compared it with, by which a promotion knows that it still is the one."""
NO_CHAMPION = "none"
TEST_TAG = "tidemill.test_sha256"


def find(client: "MlflowClient", name: str) -> "ModelVersion | None":
    """The version of a system that is in service."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(name, ALIAS)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):  # no such model, no such alias
            return None
        raise


def compare(champion: "ModelVersion | None", candidate: Candidate) -> gates.Answer:
    """Whether the candidate is not worse than the champion, by paired bootstrap over the test rows."""
    if champion is None:
        return gates.no_champion()
    metric = candidate.system.gates.metric or candidate.evaluation["main_metric"]
    try:
        difference = _difference(champion, candidate, metric)
    except TidemillError as error:
        return gates.not_comparable(str(error))
    return gates.not_worse(metric, difference, candidate.system.gates, champion.version)


def _difference(champion: "ModelVersion", candidate: Candidate, metric: str) -> gates.Interval:
    """The metric of the candidate minus that of the champion, with its confidence interval."""
    from tidemill.evaluation.intervals import paired_difference

    ours = read_table(candidate.results / "predictions.parquet")
    theirs, spec = _predictions(champion, candidate)
    theirs = ours[["id"]].merge(theirs, on="id", validate="one_to_one")
    if len(theirs) != len(ours):
        raise TidemillError(f"{len(ours) - len(theirs)} of {len(ours)} test rows have no prediction of its")
    task = tasks.load(candidate.system.task)
    of_ours, of_theirs = task.metrics(ours, candidate.config["spec"]), task.metrics(theirs, spec)
    return paired_difference(of_ours, of_theirs, metric, len(ours), candidate.system.evaluate)


def _predictions(champion: "ModelVersion", candidate: Candidate) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The champion's predictions for the test rows, and its spec: those stored, or made anew if the rows changed."""
    with TemporaryDirectory() as scratch:
        files = signing.download(champion, Path(scratch))
        model = files / MODEL
        spec: dict[str, Any] = read_json(model / "config.json")["spec"]
        if champion.tags[TEST_TAG] == candidate.evaluation["test_set"]["sha256"]:
            return read_table(files / "predictions.parquet"), spec
        return _predicted(model, read_table(candidate.table("test"))), spec


def _predicted(model: Path, rows: pd.DataFrame) -> pd.DataFrame:
    from tidemill.tasks._predictor import Predictor

    predictor = Predictor(model)
    return predictor.task.score(
        rows[["id", *tasks.targets(predictor.task)]].join(predictor.examine(rows)), predictor.spec
    )
