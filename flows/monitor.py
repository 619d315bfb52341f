"""New inputs compared with what the champion was tested on: `tidemill monitor SYSTEM FILE`.

What is far from it, and not by chance, is an alarm: in the log, on the page, as an event that `tidemill notify` passes
on and, where params ask for it, as a run of the retrain deployment, once for the same new data.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from filelock import FileLock
from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.states import Completed, Failed

from flows.events import DRIFT, emit
from flows.settings import RETRAIN
from flows.worktree import resolved
from tidemill.core.errors import TidemillError
from tidemill.core.files import read_json, write_json
from tidemill.core.params import PARAMS_FILE
from tidemill.project.params import load_system
from tidemill.repository.git import output
from tidemill.serving.monitoring import FOLDER, Finding, compare
from tidemill.serving.params import Monitor
from tidemill.tracking.tags import CHAMPION

DRIFTED = "Drifted"
"""Name of the final state where a limit was passed."""


@flow(name="monitor")
def monitor(
    system: str,
    path: str,
    model: str | None = None,
    deployment: str = RETRAIN,
    parameters: dict[str, Any] | None = None,
    commit: str | None = None,
) -> State[Any]:
    """Compare new inputs, with labels or without, with the champion's test; limits are `systems.<name>.monitor`.

    Args:
        system: a system of params.yaml.
        path: a .csv, .tsv, .jsonl or .parquet file, or a folder of pictures.
        model: another version than the champion, `models:/digits/3`.
        deployment: which one is started when a limit is passed and `monitor.retrain` is set.
        parameters: those of that deployment.
        commit: the commit, branch or tag whose params.yaml has the limits; without it the folder's.
    """
    try:
        limits = _limits(system, commit)
        finding = compare(model or f"models:/{system}@{CHAMPION}", Path(path), limits)
        started = bool(finding.reasons) and limits.retrain and _start_once(finding, deployment, parameters or {})
    except TidemillError as error:
        return Failed(message=str(error))
    create_markdown_artifact(_markdown(finding, path), key="drift")
    for reason in finding.reasons:
        get_run_logger().warning(reason)
    if not finding.reasons:
        shown = f"{finding.folder}/drift.html"
        return Completed(message=f"{finding.rows} rows are like those {finding.version} was tested on; {shown}")
    payload = {"version": finding.version, "inputs": path, "reasons": "; ".join(finding.reasons)}
    emit(DRIFT, system, payload | {"report": f"{finding.folder}/drift.html"})
    outcome = f"{deployment} was started" if started else "nothing was started"
    return Completed(name=DRIFTED, message=f"{'; '.join(finding.reasons)}; {outcome}; {finding.folder}/drift.html")


def _limits(system: str, commit: str | None) -> Monitor:
    if commit is None:
        return load_system(system).monitor or Monitor()
    found = resolved(commit)
    get_run_logger().info("limits of %s", found)
    with TemporaryDirectory() as folder:
        params = Path(folder) / PARAMS_FILE.name
        params.write_text(output("show", f"{found.digest}:./{PARAMS_FILE}"), encoding="utf-8")
        return load_system(system, params).monitor or Monitor()


def _start_once(finding: Finding, deployment: str, parameters: dict[str, Any]) -> bool:
    """Start the deployment unless it was for the same data. This is recorded first: after a kill it never starts twice."""
    record = FOLDER / "started.json"
    record.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(record.with_suffix(".lock")):
        started: dict[str, str] = read_json(record) if record.exists() else {}
        if finding.data in started:
            get_run_logger().info(f"{deployment} has been started for this data before")
            return False
        write_json(record, {**started, finding.data: deployment})
        try:
            run_deployment(deployment, parameters=parameters, timeout=0, as_subflow=False)
        except ObjectNotFound as error:
            write_json(record, started)
            raise TidemillError(f"there is no deployment {deployment}: `make deploy` creates it") from error
    return True


def _markdown(finding: Finding, path: str) -> str:
    rows = [f"`{path}`: {finding.rows:,} rows beside those of `{finding.version}`", ""]
    rows += ["| column | distance | by chance | |", "| --- | ---: | ---: | --- |"]
    rows += [
        f"| {column.name} | {column.distance:.3f} | {column.chance:.2g} | {'**drifted**' if column.drifted else ''} |"
        for column in finding.columns
    ]
    if mark := finding.performance:
        rows += ["", f"{mark.metric}: {mark.value:.3f} [{mark.low:.3f}, {mark.high:.3f}]; in the test {mark.test:.3f}"]
    return "\n".join([*rows, "", f"Evidently's report: `{finding.folder}/drift.html`"])
