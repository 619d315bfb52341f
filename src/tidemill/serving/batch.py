"""Predictions for many rows, chunk by chunk: a killed run resumes after the last whole chunk, no row twice."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pandas as pd

from tidemill.core.errors import TidemillError
from tidemill.core.files import finished_file, read_json, write_json
from tidemill.inference.predictor import Predictor
from tidemill.serving import layouts
from tidemill.serving.layouts import ADDED, Chunk, Layout
from tidemill.serving.loading import load
from tidemill.serving.predictions import predict_each

ROWS = 4096
"""Rows of a chunk: as many are in memory at once, and lost by a kill."""


@dataclass(frozen=True)
class Progress:
    """How far a run is."""

    rows: int
    total: int | None
    rows_per_second: float

    def __str__(self) -> str:
        share = f" of {self.total:,}" if self.total is not None else ""
        return f"{self.rows:,}{share} rows · {self.rows_per_second:,.0f} rows/s"


Report = Callable[[Progress], None]


@dataclass(frozen=True)
class Summary:
    """What a run has written."""

    output: Path
    version: str
    rows: int
    unanswered: int
    """Rows without a prediction; `reason` says why."""

    def __str__(self) -> str:
        flawed = f", {self.unanswered:,} without a prediction (see column reason)" if self.unanswered else ""
        return f"{self.output}: {self.rows:,} rows by {self.version}{flawed}"


def predict(
    address: str,
    path: Path,
    report: Report,
    output: Path | None = None,
    rows: int = ROWS,
    columns: dict[str, str] | None = None,
    options: dict[str, Any] | None = None,
    spreadsheet: bool = False,
) -> Summary:
    """Write the rows of a file or folder again, with `prediction`, `confidence`, `version` and `reason`.

    The parts lie in a hidden folder beside the output until it is whole. The same call after a kill resumes with them,
    unless the input, the version, `rows` or `options` have changed since: then it starts again.

    Args:
        address: the version, as `models:/digits@champion` or `models:/digits/3`.
        report: called after each chunk.
        output: by default `<name>.predictions.<ending>` beside the input.
        columns: the input's column names by the task's, `{"text": "review"}`; otherwise those of the version's source.
        options: those of the version's task, `{"temperature": 0.7}`.
        spreadsheet: whether cells of CSV and TSV that a spreadsheet would take for formulas begin with an apostrophe.

    Raises:
        TidemillError: there is no such version or option, or the input cannot be read or lacks a column.
    """
    layout = layouts.of(path, output, spreadsheet)
    output = output or path.with_name(f"{path.name.removesuffix(path.suffix)}.predictions{layout.ending}")
    if path.resolve() in (output.resolve(), *output.resolve().parents):
        raise TidemillError(f"{output} is the input or lies in it: name another output")
    loaded, options = load(address), options or {}
    loaded.predictor.options(options)
    job = {"version": loaded.name, "rows": rows, "input": _state(path), "options": options, "spreadsheet": spreadsheet}

    def added(chunk: Chunk) -> pd.DataFrame:
        found = predicted(loaded.predictor, named(chunk, loaded.predictor, columns or loaded.columns), options)
        numbers = ["confidence", *(["prediction"] if loaded.predictor.predicts_numbers else [])]
        return found.assign(version=loaded.name, **{name: found[name].astype(float) for name in numbers})[list(ADDED)]

    with _parts(output, job) as folder:
        parts = _written(added, layout, folder, rows, report)
        with finished_file(output) as whole:
            layout.join([part for part, _ in parts], whole)
        counts = [read_json(counted) for _, counted in parts]
    rows_written, unanswered = (sum(count[name] for count in counts) for name in ("rows", "unanswered"))
    return Summary(output, loaded.name, rows_written, unanswered)


def _written(
    predict_chunk: Callable[[Chunk], pd.DataFrame], layout: Layout, folder: Path, size: int, report: Report
) -> list[tuple[Path, Path]]:
    """Write each part and then the file of its counts; a part without that file is written again.

    Args:
        predict_chunk: returns `prediction`, `confidence`, `version` and `reason` of each row of a chunk.
    """
    parts, total, done, fresh, start = [], layout.total(), 0, 0, time.monotonic()
    for number, chunk in zip(count(), layout.chunks(size), strict=False):
        part, counts = folder / f"{number:08}", folder / f"{number:08}.json"
        if not counts.exists():
            _refuse_added(chunk)
            predictions = predict_chunk(chunk)
            with finished_file(part) as partial:
                layout.write(chunk, predictions, partial, first=number == 0)
            unanswered = int(predictions["prediction"].isna().sum())
            write_json(counts, {"rows": len(predictions), "unanswered": unanswered})
            fresh += len(predictions)
        parts.append((part, counts))
        done += len(chunk.reasons)
        report(Progress(done, total, fresh / max(1e-9, time.monotonic() - start)))
    if not done:
        raise TidemillError("the input holds no rows")
    return parts


def _refuse_added(chunk: Chunk) -> None:
    taken = [name for name in ADDED if name in chunk.rows]
    if taken:
        raise TidemillError(f"the input has a column {taken[0]!r}, which the output adds: rename it")


def named(chunk: Chunk, predictor: Predictor, columns: dict[str, str]) -> Chunk:
    """Return the chunk with its columns named as the task names them."""
    theirs = {columns[name]: name for name in predictor.inputs if columns.get(name) in chunk.rows}
    rows = chunk.rows.drop(columns=[name for name in theirs.values() if name in chunk.rows and name not in theirs])
    rows = rows.rename(columns=theirs)
    missing = [name for name in predictor.inputs if name not in rows]
    if missing:
        raise TidemillError(
            f"the input has no column {columns.get(missing[0], missing[0])!r}; it has: "
            f"{', '.join(map(str, chunk.rows.columns))}: name it, as in --column {missing[0]}=NAME"
        )
    return Chunk(rows[list(predictor.inputs)], chunk.reasons, chunk.original)


def predicted(predictor: Predictor, chunk: Chunk, options: dict[str, Any] | None = None) -> pd.DataFrame:
    """Return a prediction for each row of a chunk, and the `reason` of each that has none or cannot be read."""
    reasons = pd.Series(chunk.reasons, dtype=object, index=chunk.rows.index)
    found = predict_each(predictor, chunk.rows[reasons.isna()], options).reindex(chunk.rows.index)
    return found.assign(reason=reasons.where(reasons.notna(), found["reason"]))


@contextmanager
def _parts(output: Path, job: dict[str, Any]) -> Iterator[Path]:
    """Yield the folder of the parts of this very job; it is removed when the block succeeds.

    Raises:
        TidemillError: another process is writing the same output.
    """
    from filelock import FileLock, Timeout

    folder = output.with_name(f".{output.name}.parts")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "lock", timeout=0):
            if not (folder / "job.json").exists() or read_json(folder / "job.json") != job:
                for entry in folder.glob("0*"):
                    entry.unlink()
                write_json(folder / "job.json", job)
            yield folder
            shutil.rmtree(folder)
    except Timeout as error:
        raise TidemillError(f"another process is writing {output}: wait for it, or name another output") from error


def _state(path: Path) -> list[list[Any]]:
    """Return what distinguishes an input from a changed one: names, sizes and times of its files."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    found = [(file, file.stat()) for file in files if file.is_file()]
    return [[file.name if file == path else str(file.relative_to(path)), s.st_size, s.st_mtime_ns] for file, s in found]
