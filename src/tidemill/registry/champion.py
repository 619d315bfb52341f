"""Comparing a candidate with the champion, example by example, on the test set of today."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pandas as pd

from tidemill.core.errors import TidemillError
from tidemill.core.files import read_json
from tidemill.core.intervals import Bootstrap, Interval, paired_difference
from tidemill.core.spec import Spec
from tidemill.core.tables import read_table
from tidemill.models.common.networks import CONFIG
from tidemill.registry import checks, signing
from tidemill.registry.candidate import Candidate
from tidemill.registry.versions import MODEL, PREDICTIONS
from tidemill.tasks.common import rows as task_rows
from tidemill.tasks.common import scoring
from tidemill.tracking import tags

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

NO_CHAMPION = "none"


def find(client: "MlflowClient", name: str) -> "ModelVersion | None":
    """Return the version of a system that is in service."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(name, tags.CHAMPION)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):  # no such model, no such alias
            return None
        raise


def compare(champion: "ModelVersion | None", candidate: Candidate) -> checks.Check:
    """Check that the candidate is not worse than the champion, by paired bootstrap over the test rows."""
    if champion is None:
        return checks.no_champion()
    metric = candidate.gates.metric or candidate.evaluation["main_metric"]
    try:
        difference = _difference(champion, candidate, metric)
    except TidemillError as error:
        return checks.not_comparable(str(error))
    return checks.not_worse(metric, difference, candidate.gates, champion.version)


def _difference(champion: "ModelVersion", candidate: Candidate, metric: str) -> Interval:
    """Measure the metric of the candidate minus that of the champion, with its confidence interval."""
    ours = read_table(candidate.results / PREDICTIONS)
    theirs, spec = _predictions(champion, candidate)
    theirs = ours[["id"]].merge(theirs, on="id", validate="one_to_one")
    if len(theirs) != len(ours):
        raise TidemillError(f"{len(ours) - len(theirs)} of {len(ours)} test rows have no prediction of its")
    task = candidate.params["task"]
    metrics_of_ours = scoring.metrics(task, ours, candidate.config["spec"])
    metrics_of_theirs = scoring.metrics(task, scoring.of(task).score(theirs, spec), spec)
    bootstrap = Bootstrap(**candidate.evaluation["bootstrap"])
    return paired_difference(metrics_of_ours, metrics_of_theirs, metric, len(ours), bootstrap)


def _predictions(champion: "ModelVersion", candidate: Candidate) -> tuple[pd.DataFrame, Spec]:
    """Return the champion's predictions for the test rows, and its spec: stored, or new ones if the rows changed."""
    with TemporaryDirectory() as scratch:
        files = signing.download(champion, Path(scratch))
        spec: Spec = read_json(files / MODEL / CONFIG)["spec"]
        if champion.tags[tags.TEST_SET] == candidate.evaluation["test_set"]["sha256"]:
            return read_table(files / PREDICTIONS), spec
        return _predicted(files / MODEL, read_table(candidate.table("test"))), spec


def _predicted(model: Path, rows: pd.DataFrame) -> pd.DataFrame:
    from tidemill.inference.predictor import Predictor

    predictor = Predictor(model)
    targets = list(task_rows.of(predictor.task).TARGETS)
    return rows[["id", *targets]].join(predictor.predict_normalised(rows))
