"""Answer a file of any size by a registered version: `python flows/predict.py models:/digits@champion FILE`.

As a deployed flow it takes the same as parameters. A killed run goes on when it is started again with the same.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a file, it knows its own folder only

from flows.train import PREFECT_DEFAULTS

os.environ.update({**PREFECT_DEFAULTS, **os.environ})

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact, create_progress_artifact, update_progress_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from tidemill.cli.serving import Column, Input, Model, Option, Output, Rows, chosen, renamed
from tidemill.errors import TidemillError
from tidemill.serving import batch

REPORT_SECONDS = 5.0
"""How often the page hears of the progress."""


@flow(name="predict")
def predict(
    model: str,
    path: str,
    output: str | None = None,
    rows: int = batch.ROWS,
    columns: dict[str, str] | None = None,
    options: dict[str, Any] | None = None,
) -> State[Any]:
    """Write the rows of a file again with `prediction`, `confidence` and the version that made them.

    Args:
        model: the version: `models:/digits@champion` or `models:/digits/3`.
        path: a .csv, .tsv, .jsonl or .parquet file, or a folder of pictures.
        output: where to write; beside the input if not given.
        rows: rows in memory at once.
        columns: their column name by ours, `{"text": "review"}`.
        options: how to answer, where the task has a choice, `{"temperature": 0.2}`.
    """
    try:
        done = batch.predict(model, Path(path), _Page(), Path(output) if output else None, rows, columns, options)
    except TidemillError as error:
        return Failed(message=str(error))
    create_markdown_artifact(f"`{done.output}`: {done.rows:,} rows by `{done.version}`", key="predictions")
    return Completed(message=str(done))


class _Page:
    """Tells the log and, where the number of rows is known, a bar on Prefect's page."""

    def __init__(self) -> None:
        self.told, self.log = float("-inf"), get_run_logger()
        self.bar: UUID | None = None

    def __call__(self, progress: batch.Progress) -> None:
        if time.monotonic() - self.told < REPORT_SECONDS and progress.rows != progress.total:
            return
        self.told = time.monotonic()
        self.log.info(str(progress))
        if progress.total:
            self._show(100 * progress.rows / progress.total)

    def _show(self, share: float) -> None:
        if self.bar is None:
            self.bar = cast(UUID, create_progress_artifact(progress=share, key="progress"))
        else:
            update_progress_artifact(self.bar, progress=share)


def main(
    model: Model,
    path: Input,
    output: Output = None,
    rows: Rows = batch.ROWS,
    column: Column = None,
    option: Option = None,
) -> None:
    """Answer the rows of a file of any size; a killed run goes on when the same command is given again."""
    try:
        columns, options = renamed(column), chosen(option)
        state = predict(model, str(path), output and str(output), rows, columns, options, return_state=True)
    except TidemillError as error:
        sys.exit(f"error: {error}")
    sys.exit(f"error: {state.message}" if not state.is_completed() else None)


if __name__ == "__main__":
    typer.run(main)
