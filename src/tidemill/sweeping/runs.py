"""A sweep as MLflow shows it: one run, with the runs of its trials inside."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tidemill.tracking import tags
from tidemill.tracking.run import TrainingRun
from tidemill.tracking.store import connect, experiment_id, runs


def sweep_run(system: str, study: str, params: Mapping[str, Any]) -> TrainingRun:
    """Return the run of a sweep: the one it has already, or a new one."""
    client = connect()
    found = runs(client, system, tags.SWEEP, study)
    if found:
        return TrainingRun(client, found[0].info.run_id)
    named = {tags.SYSTEM: system, tags.SWEEP: study}
    new = client.create_run(experiment_id(client, system), tags=named, run_name=f"sweep-{study}")
    run = TrainingRun(client, new.info.run_id)
    run.log_params(params)
    return run


def nest(run: TrainingRun, parent: str, trial: int) -> None:
    """Put the run of a trial inside that of its sweep."""
    run.client.set_tag(run.id, tags.PARENT, parent)
    run.client.set_tag(run.id, tags.TRIAL, str(trial))


def finish(run: TrainingRun, best: Mapping[str, Any], folder: Path) -> None:
    """Log the best params with their metric, and the files of the report."""
    for name, value in best.items():
        run.client.set_tag(run.id, f"{tags.BEST}{name}", str(value))
    run.client.log_artifacts(run.id, str(folder))
    run.client.set_terminated(run.id, "FINISHED")
