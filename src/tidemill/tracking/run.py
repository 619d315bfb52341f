"""One MLflow run for each training, resumed after a crash."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidemill.core.params import flattened
from tidemill.tracking import tags
from tidemill.tracking.points import Point
from tidemill.tracking.store import connect, experiment_id, runs

if TYPE_CHECKING:
    from mlflow import MlflowClient

# Limits of MLflow's stores on one call (mlflow.utils.validation).
METRICS_PER_CALL = 1000
PARAMS_PER_CALL = 100
PARAM_LENGTH = 6000


@dataclass(frozen=True)
class TrainingRun:
    """An open MLflow run."""

    client: "MlflowClient"
    id: str

    def log(self, points: Sequence[Point]) -> None:
        """Log points of curves, up to a thousand in one call.

        The store keeps points that are equal in all four fields once, however often they are logged.
        """
        from mlflow.entities import Metric

        metrics = [Metric(point.name, point.value, point.timestamp, point.step) for point in points]
        for start in range(0, len(metrics), METRICS_PER_CALL):
            self.client.log_batch(self.id, metrics=metrics[start : start + METRICS_PER_CALL])

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Log params under their dotted paths; those that the run has already are left as they are."""
        from mlflow.entities import Param

        known = self.client.get_run(self.id).data.params
        new = [Param(path, value[:PARAM_LENGTH]) for path, value in as_text(params).items() if path not in known]
        for start in range(0, len(new), PARAMS_PER_CALL):
            self.client.log_batch(self.id, params=new[start : start + PARAMS_PER_CALL])

    def tag_weights(self, sha256: str) -> None:
        """Record the hash of the weights that came out, by which `register` finds the run."""
        self.client.set_tag(self.id, tags.WEIGHTS, sha256)


@contextmanager
def training_run(
    system: str, fingerprint: str, params: Mapping[str, Any], resumed: bool = False
) -> Iterator[TrainingRun]:
    """Open the one run of a training: a new run, or the unfinished one of the same inputs.

    It ends FINISHED, or FAILED where the block raises; a process that is killed leaves it RUNNING. In the last two
    cases the next training with the same fingerprint resumes it.

    Args:
        system: name of the system; its runs are one MLflow experiment.
        fingerprint: hash of everything that the training reads.
        params: logged as the run's params; nested blocks get dotted names.
        resumed: whether the training resumes from a checkpoint. Its run is then resumed even if it is finished, since
            the kill may have come between the end of the run and the end of the stage.
    """
    client = connect()
    earlier = _earlier_run(client, system, fingerprint, resumed)
    run = TrainingRun(client, earlier or _new_run(client, system, fingerprint))
    client.update_run(run.id, status="RUNNING")
    try:
        run.log_params(params)
        yield run
    except BaseException:
        client.set_terminated(run.id, "FAILED")
        raise
    client.set_terminated(run.id, "FINISHED")


def as_text(params: Mapping[str, Any]) -> dict[str, str]:
    """Return nested params by dotted path, each value as text: a string as it stands, anything else as JSON."""
    return {path: _text(value) for path, value in flattened(params).items()}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _earlier_run(client: "MlflowClient", system: str, fingerprint: str, resumed: bool) -> str | None:
    found = (run.info for run in runs(client, system, tags.FINGERPRINT, fingerprint))
    return next((info.run_id for info in found if resumed or info.status != "FINISHED"), None)


def _new_run(client: "MlflowClient", system: str, fingerprint: str) -> str:
    named = {tags.SYSTEM: system, tags.FINGERPRINT: fingerprint}
    run = client.create_run(experiment_id(client, system), tags=named, run_name=f"{system}-{fingerprint[:8]}")
    return str(run.info.run_id)
