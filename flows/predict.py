"""A file of any size predicted by a registered version: `tidemill predict --flow …`, or as a deployment.

A killed run resumes when it is started again with the same parameters.
"""

import time
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact, create_progress_artifact, update_progress_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from tidemill.core.errors import TidemillError
from tidemill.serving import batch

REPORT_SECONDS = 5.0
"""Seconds between two updates of the page."""


@flow(name="predict")
def predict(
    model: str,
    path: str,
    output: str | None = None,
    rows: int = batch.ROWS,
    columns: dict[str, str] | None = None,
    options: dict[str, Any] | None = None,
    spreadsheet: bool = False,
) -> State[Any]:
    """Write the rows of a file again with `prediction`, `confidence` and the version that made them.

    Args:
        model: the version: `models:/digits@champion` or `models:/digits/3`.
        path: a .csv, .tsv, .jsonl or .parquet file, or a folder of pictures.
        output: where to write; by default beside the input.
        rows: rows in memory at once.
        columns: the input's column names by the task's, `{"text": "review"}`.
        options: those of the task, `{"temperature": 0.2}`.
        spreadsheet: whether cells of CSV and TSV that a spreadsheet would take for formulas begin with an apostrophe.
    """
    target = Path(output) if output else None
    try:
        done = batch.predict(model, Path(path), _Page(), target, rows, columns, options, spreadsheet)
    except TidemillError as error:
        return Failed(message=str(error))
    create_markdown_artifact(f"`{done.output}`: {done.rows:,} rows by `{done.version}`", key="predictions")
    return Completed(message=str(done))


class _Page:
    """Reports progress to the log and, where the number of rows is known, to a bar on Prefect's page."""

    def __init__(self) -> None:
        self.reported, self.log = float("-inf"), get_run_logger()
        self.bar: UUID | None = None

    def __call__(self, progress: batch.Progress) -> None:
        if time.monotonic() - self.reported < REPORT_SECONDS and progress.rows != progress.total:
            return
        self.reported = time.monotonic()
        self.log.info(str(progress))
        if progress.total:
            self._show(100 * progress.rows / progress.total)

    def _show(self, share: float) -> None:
        if self.bar is None:
            self.bar = cast(UUID, create_progress_artifact(progress=share, key="progress"))
        else:
            update_progress_artifact(self.bar, progress=share)
