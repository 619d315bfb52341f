"""New inputs compared with what a version was tested on: its inputs, its predictions and, with labels, its metric."""

from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from tidemill.core.errors import TidemillError
from tidemill.core.files import finished_folder, read_json, sha256_file, write_json
from tidemill.core.intervals import Bootstrap, intervals
from tidemill.core.tables import read_table
from tidemill.registry import content, versions
from tidemill.serving import batch, drift, features, layouts
from tidemill.serving.drift import Column
from tidemill.serving.loading import Loaded, load
from tidemill.serving.params import Monitor
from tidemill.tasks.common import scoring

FOLDER = Path(".tidemill/monitor")
BOOTSTRAP = Bootstrap(confidence=1 - 2 * drift.LEVEL, resamples=5000)
"""How certain it must be that the main metric has fallen: few rows fall far by chance."""
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
    """What a comparison found."""

    version: str
    data: str
    """Hash of the new inputs and of the version: the same inputs give the same finding."""
    rows: int
    columns: list[Column]
    performance: Performance | None
    folder: Path

    @property
    def reasons(self) -> list[str]:
        """Each limit that was passed, in numbers."""
        found = [str(column) for column in self.columns if column.drifted]
        fallen = self.performance
        if fallen and fallen.fallen:
            found.append(
                f"{fallen.metric} is {fallen.value:.3f} [{fallen.low:.3f}, {fallen.high:.3f}], {fallen.test:.3f} in the test"
            )
        return found


def compare(address: str, path: Path, limits: Monitor) -> Finding:
    """Compare the rows of a file or folder with those of a version's test; write `drift.json` and `drift.html`.

    Raises:
        TidemillError: there is no such version, it was registered without rows to compare with, or the input cannot
            be read.
    """
    loaded = load(address)
    rows = _sample(loaded, path, limits.sample)
    predictions = loaded.predictor.predict(rows)
    known, known_predictions, test = _known(loaded, limits.sample)
    data = sha256(f"{loaded.name}\n{_hash(path)}".encode()).hexdigest()
    folder = FOLDER / str(loaded.version.name) / data[:12]
    tables = features.shared(
        features.described(loaded.predictor, known, known_predictions),
        features.described(loaded.predictor, rows, predictions),
    )
    with finished_folder(folder) as partial:
        columns = drift.compare(*tables, limits.distance, partial / "drift.html")
        performance = _performance(loaded, rows.join(predictions), test, limits)
        finding = Finding(loaded.name, data, len(rows), columns, performance, folder)
        document = {"version": loaded.name, "data": data, "rows": len(rows), "limits": limits.model_dump()}
        document |= {"reasons": finding.reasons, "columns": [asdict(column) for column in columns]}
        write_json(partial / "drift.json", document | {"performance": asdict(performance) if performance else None})
    return finding


def _sample(loaded: Loaded, path: Path, size: int) -> pd.DataFrame:
    """Sample rows evenly from an input of any length, in the task's columns and normal form; unreadable ones do not count."""
    generator, part = np.random.default_rng(0), loaded.predictor.rows
    kept = pd.DataFrame()
    for chunk in layouts.of(path, None).chunks(batch.ROWS):
        rows = chunk.rows[pd.Series(chunk.reasons, dtype=object, index=chunk.rows.index).isna()]
        rows = rows.assign(**{ORDER: generator.random(len(rows))})
        kept = pd.concat([kept, rows], ignore_index=True).nsmallest(size, ORDER)
    names = {theirs: ours for ours, theirs in loaded.columns.items() if theirs in kept}
    kept = kept.drop(columns=[ORDER, *(ours for ours in names.values() if ours in kept)]).rename(columns=names)
    missing = [name for name in loaded.predictor.inputs if name not in kept]
    if missing:
        raise TidemillError(f"{path} has no column {missing[0]!r}; it has: {', '.join(map(str, kept.columns))}")
    return part.normalise(kept.reset_index(drop=True))


def _known(loaded: Loaded, size: int) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Return rows of the version's test, its predictions for them, and what was measured in the test."""
    names = (versions.REFERENCE, versions.PREDICTIONS)
    with TemporaryDirectory() as scratch:
        paths = [content.file(loaded.version, name, Path(scratch)) for name in names]
        rows, predictions = (read_table(path) for path in paths)
        test: dict[str, Any] = read_json(content.file(loaded.version, versions.EVALUATION, Path(scratch)))
    rows = rows.sample(min(size, len(rows)), random_state=0).set_index("id", drop=False)
    return rows, predictions.set_index("id").loc[rows.index], test


def _performance(loaded: Loaded, rows: pd.DataFrame, test: dict[str, Any], limits: Monitor) -> Performance | None:
    task, targets = scoring.of(loaded.predictor.task), loaded.predictor.rows.TARGETS
    if not all(target in rows for target in targets):
        return None
    if "label" in targets:
        rows = rows[rows["label"].notna()]
        rows = rows.assign(label=rows["label"].map(features.as_label))
    if rows.empty:
        return None
    spec, metric = loaded.predictor.spec, test["main_metric"]
    found = intervals(task.metrics(task.score(rows, spec), spec), len(rows), BOOTSTRAP)[metric]
    known = test["metrics"][metric]["value"]
    sign = scoring.sign(loaded.predictor.task, metric)
    best = found["high"] if sign > 0 else found["low"]
    fallen = sign * (known - found["value"]) > limits.accuracy_drop and sign * (known - best) > 0
    return Performance(metric, found["value"], found["low"], found["high"], known, fallen)


def _hash(path: Path) -> str:
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    return "\n".join(f"{sha256_file(file)} {file.relative_to(path)}" for file in files)
