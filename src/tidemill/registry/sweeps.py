"""A sweep as MLflow shows it: one run, with the runs of its trials inside."""

from pathlib import Path
from typing import Any

from tidemill.registry.tracking import SYSTEM_TAG, TrainingRun, connect, experiment_id, runs

SWEEP_TAG = "tidemill.sweep"
PARENT_TAG = "mlflow.parentRunId"
"""By this tag MLflow's page nests runs."""


def sweep_run(system: str, study: str, params: dict[str, Any]) -> TrainingRun:
    """The run of a sweep: the one it has already, or a new one."""
    client = connect()
    found = runs(client, system, SWEEP_TAG, study)
    if found:
        return TrainingRun(client, found[0].info.run_id)
    tags = {SYSTEM_TAG: system, SWEEP_TAG: study}
    run = TrainingRun(
        client, client.create_run(experiment_id(client, system), tags=tags, run_name=f"sweep-{study}").info.run_id
    )
    run.log_params(params)
    return run


def nest(run: TrainingRun, parent: str, trial: int) -> None:
    """Put the run of a trial inside that of its sweep."""
    run.client.set_tag(run.id, PARENT_TAG, parent)
    run.client.set_tag(run.id, "tidemill.trial", str(trial))


def finish(run: TrainingRun, best: dict[str, Any], folder: Path) -> None:
    """Log what came out, and the files that show it."""
    for name, value in best.items():
        run.client.set_tag(run.id, f"tidemill.best.{name}", str(value))
    run.client.log_artifacts(run.id, str(folder))
    run.client.set_terminated(run.id, "FINISHED")
