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
from tidemill.registry import champion as in_service
from tidemill.registry import checks, content
from tidemill.registry.candidate import Candidate
from tidemill.registry.versions import EVALUATION, MODEL, PREDICTIONS
from tidemill.tasks.common import rows as task_rows
from tidemill.tasks.common import scoring

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion


def compare(champion: "ModelVersion | None", candidate: Candidate) -> checks.Check:
    """Check that the candidate is not worse than the champion, by paired bootstrap over the test rows."""
    if champion is None:
        return checks.no_champion()
    metric = candidate.gates.metric or candidate.evaluation["main_metric"]
    try:
        difference = _difference(champion, candidate, metric)
    except TidemillError as error:
        return checks.not_comparable(str(error))
    sign = scoring.sign(candidate.params["task"], metric)
    return checks.not_worse(metric, difference, sign, candidate.gates, champion.version)


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
    """Return the champion's predictions for the test rows, and its spec: stored and signed ones of these rows, or new ones."""
    with TemporaryDirectory() as scratch:
        found = content.download(champion, Path(scratch))
        in_service.check(champion, found)
        spec: Spec = read_json(found.folder / MODEL / CONFIG)["spec"]
        if _measured_on(found) == candidate.evaluation["test_set"]["sha256"]:
            return read_table(found.folder / PREDICTIONS), spec
        return _predicted(found.folder / MODEL, read_table(candidate.table("test"))), spec


def _measured_on(found: content.Content) -> str | None:
    """Return the test set of the stored predictions, where these were signed; otherwise only the model counts."""
    if found.statement is None:
        return None
    measured: str = read_json(found.folder / EVALUATION)["test_set"]["sha256"]
    return measured


def _predicted(model: Path, rows: pd.DataFrame) -> pd.DataFrame:
    from tidemill.inference.predictor import Predictor

    predictor = Predictor(model)
    targets = list(task_rows.of(predictor.task).TARGETS)
    return rows[["id", *targets]].join(predictor.predict_normalised(rows))
