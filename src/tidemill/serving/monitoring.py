"""New inputs held against what a version knew: its inputs, its answers and, where labels have come, its marks."""

from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from tidemill import tasks
from tidemill.config import Evaluate, Monitor
from tidemill.data.tables import read_table
from tidemill.errors import TidemillError
from tidemill.evaluation.intervals import intervals
from tidemill.files import finished_folder, read_json, sha256_file, write_json
from tidemill.registry import versions
from tidemill.registry.registration import REFERENCE
from tidemill.serving import batch, drift, features, layouts
from tidemill.serving.drift import Column
from tidemill.serving.loading import Loaded, load

FOLDER = Path(".tidemill/monitor")
SURE = Evaluate(confidence=1 - 2 * drift.LEVEL, resamples=5000)
"""How sure it must be that the main metric has fallen: few rows fall far by chance."""
ORDER = "tidemill.order"
"""Column of the number by which a row is drawn or not."""


@dataclass(frozen=True)
class Performance:
    """The main metric of the new rows beside that of the test."""

    metric: str
    value: float
    low: float
    high: float
    test: float
    fallen: bool


@dataclass(frozen=True)
class Finding:
    """What was found of some new inputs."""

    version: str
    data: str
    """Hash of the new inputs and of the version: the same question has the same answer."""
    rows: int
    columns: list[Column]
    performance: Performance | None
    folder: Path

    @property
    def reasons(self) -> list[str]:
        """Each limit that was passed, in numbers."""
        told = [str(column) for column in self.columns if column.drifted]
        fallen = self.performance
        if fallen and fallen.fallen:
            told.append(
                f"{fallen.metric} is {fallen.value:.3f} [{fallen.low:.3f}, {fallen.high:.3f}], {fallen.test:.3f} in the test"
            )
        return told


def look(address: str, path: Path, limits: Monitor) -> Finding:
    """Compare the rows of a file or folder with the version's own; write `drift.json` and `drift.html`.

    Raises:
        TidemillError: there is no such version, it was registered without rows to compare with, or the input cannot
            be read.
    """
    loaded = load(address)
    rows = _sample(loaded, path, limits.sample)
    answers = loaded.predictor.predict(rows)
    known, known_answers, test = _known(loaded, limits.sample)
    data = sha256(f"{loaded.name}\n{_hash(path)}".encode()).hexdigest()
    folder = FOLDER / str(loaded.version.name) / data[:12]
    tables = features.shared(
        features.described(loaded.predictor, known, known_answers), features.described(loaded.predictor, rows, answers)
    )
    with finished_folder(folder) as partial:
        columns = drift.compare(*tables, limits.distance, partial / "drift.html")
        performance = _performance(loaded, rows.join(answers), test, limits)
        finding = Finding(loaded.name, data, len(rows), columns, performance, folder)
        facts = {"version": loaded.name, "data": data, "rows": len(rows), "limits": limits.model_dump()}
        facts |= {"reasons": finding.reasons, "columns": [asdict(column) for column in columns]}
        write_json(partial / "drift.json", facts | {"performance": asdict(performance) if performance else None})
    return finding


def _sample(loaded: Loaded, path: Path, size: int) -> pd.DataFrame:
    """Rows drawn evenly from an input of any length, in the task's own columns and form; unreadable ones do not count."""
    generator, task = np.random.default_rng(0), loaded.predictor.task
    kept = pd.DataFrame()
    for chunk in layouts.of(path, None).chunks(batch.ROWS):
        rows = chunk.rows[pd.Series(chunk.reasons, dtype=object, index=chunk.rows.index).isna()]
        rows = rows.assign(**{ORDER: generator.random(len(rows))})
        kept = pd.concat([kept, rows], ignore_index=True).nsmallest(size, ORDER)
    names = {theirs: ours for ours, theirs in loaded.columns.items() if theirs in kept}
    kept = kept.drop(columns=[ORDER, *(ours for ours in names.values() if ours in kept)]).rename(columns=names)
    missing = [name for name in task.INPUTS if name not in kept]
    if missing:
        raise TidemillError(f"{path} has no column {missing[0]!r}; it has: {', '.join(map(str, kept.columns))}")
    return task.normalise(kept.reset_index(drop=True))


def _known(loaded: Loaded, size: int) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Rows of the version's own, its answers for them, and what was measured in its test."""
    with TemporaryDirectory() as scratch:
        paths = [versions.bring(loaded.version, name, Path(scratch)) for name in (REFERENCE, "predictions.parquet")]
        rows, predictions = (read_table(path) for path in paths)
        test: dict[str, Any] = read_json(versions.bring(loaded.version, "evaluation.json", Path(scratch)))
    rows = rows.sample(min(size, len(rows)), random_state=0).set_index("id", drop=False)
    return rows, predictions.set_index("id").loc[rows.index], test


def _performance(loaded: Loaded, rows: pd.DataFrame, test: dict[str, Any], limits: Monitor) -> Performance | None:
    task, metric = loaded.predictor.task, test["main_metric"]
    if not all(target in rows for target in tasks.targets(task)):
        return None
    if "label" in tasks.targets(task):
        rows = rows[rows["label"].notna()]
        rows = rows.assign(label=rows["label"].map(features.as_label))
    if rows.empty:
        return None
    spec = loaded.predictor.spec
    found = intervals(task.metrics(task.score(rows, spec), spec), len(rows), SURE)[metric]
    known = test["metrics"][metric]["value"]
    fallen = found["value"] < known - limits.accuracy_drop and found["high"] < known
    return Performance(metric, found["value"], found["low"], found["high"], known, fallen)


def _hash(path: Path) -> str:
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    return "\n".join(f"{sha256_file(file)} {file.relative_to(path)}" for file in files)
