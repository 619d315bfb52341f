"""Hold new inputs against what the champion knew: `python flows/monitor.py SYSTEM FILE`.

What is far from it, and not by chance, is an alarm: told in the log, on the page and, where params say so, to the
retrain deployment, once for the same new data.
"""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a file, it knows its own folder only

from flows.train import PREFECT_DEFAULTS

os.environ.update({**PREFECT_DEFAULTS, **os.environ})

from filelock import FileLock
from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.states import Completed, Failed

from tidemill.cli.serving import Input
from tidemill.config import Monitor, load_system
from tidemill.errors import TidemillError
from tidemill.files import read_json, write_json
from tidemill.serving.monitoring import FOLDER, Finding, look

RETRAIN = "retrain/retrain"


@flow(name="monitor")
def monitor(
    system: str,
    path: str,
    model: str | None = None,
    deployment: str = RETRAIN,
    parameters: dict[str, Any] | None = None,
) -> State[Any]:
    """Compare new inputs, with labels or without, with the champion's own; limits are `systems.<name>.monitor`.

    Args:
        system: a system of params.yaml.
        path: a .csv, .tsv, .jsonl or .parquet file, or a folder of pictures.
        model: another version than the champion, `models:/digits/3`.
        deployment: what is started when a limit is passed and `monitor.retrain` is set.
        parameters: what that deployment is started with.
    """
    try:
        limits = load_system(system).monitor or Monitor()
        finding = look(model or f"models:/{system}@champion", Path(path), limits)
        started = bool(finding.reasons) and limits.retrain and _start_once(finding, deployment, parameters or {})
    except TidemillError as error:
        return Failed(message=str(error))
    create_markdown_artifact(_markdown(finding, path), key="drift")
    for reason in finding.reasons:
        get_run_logger().warning(reason)
    if not finding.reasons:
        return Completed(message=f"{finding.rows} rows are as {finding.version} knew them; {finding.folder}/drift.html")
    outcome = f"{deployment} was started" if started else "nothing was started"
    return Completed(name="Drifted", message=f"{'; '.join(finding.reasons)}; {outcome}; {finding.folder}/drift.html")


def _start_once(finding: Finding, deployment: str, parameters: dict[str, Any]) -> bool:
    """Start the deployment unless it was for the same data. That it was is written first: a kill starts it never twice."""
    record = FOLDER / "started.json"
    record.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(record.with_suffix(".lock")):
        started: dict[str, str] = read_json(record) if record.exists() else {}
        if finding.data in started:
            get_run_logger().info(f"{deployment} was started for these data before")
            return False
        write_json(record, {**started, finding.data: deployment})
        try:
            run_deployment(deployment, parameters=parameters, timeout=0, as_subflow=False)
        except ObjectNotFound as error:
            write_json(record, started)
            raise TidemillError(f"there is no deployment {deployment}: `make deploy` makes it") from error
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


def main(
    system: Annotated[str, typer.Argument(help="A system of params.yaml.")],
    path: Input,
    model: Annotated[str | None, typer.Option(help="Another version than the champion: models:/digits/3.")] = None,
    deployment: Annotated[str, typer.Option(help="What is started when params say so.")] = RETRAIN,
) -> None:
    """Compare new inputs with the champion's own. Exit code 3: a limit was passed."""
    state = monitor(system, str(path), model, deployment, return_state=True)
    if not state.is_completed():
        sys.exit(f"error: {state.message}")
    print(state.message)
    sys.exit(3 if state.name == "Drifted" else 0)


if __name__ == "__main__":
    typer.run(main)
