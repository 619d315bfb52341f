"""Answers for many rows: chunk by chunk, so that a killed run goes on after the last whole chunk, no row twice."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pandas as pd

from tidemill.errors import TidemillError
from tidemill.files import finished_file, read_json, write_json
from tidemill.serving import layouts
from tidemill.serving.layouts import MADE, Chunk, Layout
from tidemill.serving.loading import load
from tidemill.tasks._predictor import Predictor

ROWS = 4096
"""Rows of a chunk: what is in memory at once, and what a kill can cost."""


@dataclass(frozen=True)
class Progress:
    """How far a run has come."""

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
    """Rows that could not be answered; `reason` says why."""

    def __str__(self) -> str:
        flawed = f", {self.unanswered:,} without an answer (see column reason)" if self.unanswered else ""
        return f"{self.output}: {self.rows:,} rows by {self.version}{flawed}"


def predict(
    address: str,
    path: Path,
    report: Report,
    output: Path | None = None,
    rows: int = ROWS,
    columns: dict[str, str] | None = None,
    options: dict[str, Any] | None = None,
) -> Summary:
    """Write the rows of a file or folder again, with `prediction`, `confidence`, `version` and `reason`.

    The parts lie in a hidden folder beside the output until it is whole. The same call after a kill goes on with them,
    unless the input, the version, `rows` or `options` have changed since: then it starts again.

    Args:
        address: The version, as `models:/digits@champion` or `models:/digits/3`.
        report: Called after each chunk.
        output: By default `<name>.predictions.<ending>` beside the input.
        columns: Their column name by ours, `{"text": "review"}`; without it those of the version's own source.
        options: What the version's task lets a request choose, `{"temperature": 0.7}`.

    Raises:
        TidemillError: there is no such version or option, or the input cannot be read or lacks a column.
    """
    layout = layouts.of(path, output)
    output = output or path.with_name(f"{path.name.removesuffix(path.suffix)}.predictions{layout.ending}")
    if path.resolve() in (output.resolve(), *output.resolve().parents):
        raise TidemillError(f"{output} is the input or lies in it: name another output")
    loaded, options = load(address), options or {}
    loaded.predictor.chosen(options)
    job = {"version": loaded.name, "rows": rows, "input": _state(path), "options": options}

    def answer(chunk: Chunk) -> pd.DataFrame:
        found = answered(loaded.predictor, named(chunk, loaded.predictor, columns or loaded.columns), options)
        return found.assign(confidence=found["confidence"].astype(float), version=loaded.name)[list(MADE)]

    with _parts(output, job) as folder:
        parts = _written(answer, layout, folder, rows, report)
        with finished_file(output) as whole:
            layout.join([part for part, _ in parts], whole)
        facts = [read_json(facts) for _, facts in parts]
    return Summary(output, loaded.name, sum(f["rows"] for f in facts), sum(f["unanswered"] for f in facts))


def _written(
    answer: Callable[[Chunk], pd.DataFrame], layout: Layout, folder: Path, size: int, report: Report
) -> list[tuple[Path, Path]]:
    """Each part with the file of its facts, which is written after it: without one the part is made again.

    Args:
        answer: Gives `prediction`, `confidence`, `version` and `reason` of each row of a chunk.
    """
    parts, total, done, fresh, start = [], layout.total(), 0, 0, time.monotonic()
    for number, chunk in zip(count(), layout.chunks(size), strict=False):
        part, facts = folder / f"{number:08}", folder / f"{number:08}.json"
        if not facts.exists():
            _refuse_answered(chunk)
            answers = answer(chunk)
            with finished_file(part) as partial:
                layout.write(chunk, answers, partial, first=number == 0)
            write_json(facts, {"rows": len(answers), "unanswered": int(answers["prediction"].isna().sum())})
            fresh += len(answers)
        parts.append((part, facts))
        done += len(chunk.reasons)
        report(Progress(done, total, fresh / max(1e-9, time.monotonic() - start)))
    if not done:
        raise TidemillError("the input holds no rows")
    return parts


def _refuse_answered(chunk: Chunk) -> None:
    taken = [name for name in MADE if name in chunk.rows]
    if taken:
        raise TidemillError(f"the input has a column {taken[0]!r}, which the output is to hold: rename it")


def named(chunk: Chunk, predictor: Predictor, columns: dict[str, str]) -> Chunk:
    """The chunk with its columns called as the task calls them."""
    theirs = {columns[name]: name for name in predictor.task.INPUTS if columns.get(name) in chunk.rows}
    rows = chunk.rows.drop(columns=[name for name in theirs.values() if name in chunk.rows and name not in theirs])
    rows = rows.rename(columns=theirs)
    missing = [name for name in predictor.task.INPUTS if name not in rows]
    if missing:
        raise TidemillError(
            f"the input has no column {columns.get(missing[0], missing[0])!r}; it has: "
            f"{', '.join(map(str, chunk.rows.columns))}: say which it is, as in --column {missing[0]}=NAME"
        )
    return Chunk(rows[list(predictor.task.INPUTS)], chunk.reasons, chunk.original)


def answered(predictor: Predictor, chunk: Chunk, options: dict[str, Any] | None = None) -> pd.DataFrame:
    """All that is said of each row of a chunk, and the `reason` of each that has no answer."""
    reasons = pd.Series(chunk.reasons, dtype=object, index=chunk.rows.index)
    found = _tolerant(predictor, chunk.rows[reasons.isna()], options or {}).reindex(chunk.rows.index)
    return found.assign(reason=reasons.where(reasons.notna(), found["reason"]))


def _tolerant(predictor: Predictor, rows: pd.DataFrame, options: dict[str, Any]) -> pd.DataFrame:
    """Answers of all rows that can be answered; halves that hold one that cannot are looked at by themselves."""
    try:
        return predictor.predict(rows, **options).assign(reason=None)
    except TidemillError as error:
        if len(rows) == 1:
            return pd.DataFrame({"prediction": None, "confidence": None, "reason": str(error)}, index=rows.index)
    half = len(rows) // 2
    return pd.concat([_tolerant(predictor, part, options) for part in (rows.iloc[:half], rows.iloc[half:])])


@contextmanager
def _parts(output: Path, job: dict[str, Any]) -> Iterator[Path]:
    """The folder of the parts of this very job; it goes when the block succeeds.

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
    """What tells an input from a changed one: names, sizes and times of its files."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    facts = [(file, file.stat()) for file in files if file.is_file()]
    return [[file.name if file == path else str(file.relative_to(path)), s.st_size, s.st_mtime_ns] for file, s in facts]
