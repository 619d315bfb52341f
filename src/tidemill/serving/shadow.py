"""The challenger compared with the champion on recorded inputs: how often they agree, which is right, which is faster."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from tidemill.core.errors import TidemillError
from tidemill.core.intervals import Bootstrap, Interval, Metrics, intervals, paired_difference
from tidemill.evaluation.latency import EXAMPLES, latency
from tidemill.serving import batch, features, layouts
from tidemill.serving.loading import Loaded, load
from tidemill.tasks.common import scoring
from tidemill.tracking import tags

SHOWN = 10
"""Rows predicted differently that are listed."""


@dataclass(frozen=True)
class Side:
    """The results of one of the two versions."""

    version: str
    unanswered: int
    metrics: dict[str, Interval]
    """Empty where no row has a label."""
    latency: dict[str, Any]


@dataclass(frozen=True)
class Difference:
    """A row that the two predict differently."""

    row: int
    """From 1, in the order of the input."""
    champion: str
    challenger: str
    label: str | None


@dataclass(frozen=True)
class Comparison:
    """The results of both."""

    rows: int
    compared: int
    """Rows that both can predict."""
    agreed: int
    differences: list[Difference]
    """The first of them."""
    champion: Side
    challenger: Side
    labelled: int
    """Rows by which the metrics were measured."""
    main_metric: str
    gain: Interval | None
    """The main metric of the challenger minus that of the champion, by paired bootstrap."""


def shadow(system: str, path: Path, labels: str | None = None, columns: dict[str, str] | None = None) -> Comparison:
    """Predict a file or folder of recorded inputs with both versions.

    Args:
        system: the registered model whose aliases `champion` and `challenger` are compared.
        path: a .csv, .tsv, .jsonl or .parquet file, or a folder of pictures.
        labels: the input's column of the actual labels.
        columns: the input's column names by the task's, `{"text": "review"}`; otherwise those of the champion's source.

    Raises:
        TidemillError: one of the two is not there, or the input cannot be read or lacks a column.
    """
    champion, challenger = (load(f"models:/{system}@{alias}") for alias in (tags.CHAMPION, tags.CHALLENGER))
    if champion.name == challenger.name:
        raise TidemillError(f"{champion.name} is champion and challenger: there is nothing to compare")
    predictor = champion.predictor
    if labels is not None and (predictor.rows.TARGETS != ("label",) or predictor.prediction.respond is not None):
        raise TidemillError(f"--labels: {predictor.task} has no single label for a row")
    task = scoring.of(predictor.task)
    old, new, sample = _predicted(champion, challenger, path, labels, columns or champion.columns)
    both = old["reason"].isna() & new["reason"].isna()
    if not both.any():
        raise TidemillError(
            f"{path}: both versions can predict none of {len(old)} rows; the first: {_reason(old, new)}"
        )
    same = task.is_same(old["prediction"][both], new["prediction"][both]).reindex(old.index, fill_value=False)
    differ, known = both & ~same, both & old["label"].notna()
    of_old, of_new = (_metrics(one, found[known]) for one, found in ((champion, old), (challenger, new)))
    gain = None
    if of_old and of_new:
        gain = paired_difference(of_new, of_old, task.MAIN_METRIC, int(known.sum()), Bootstrap())
    return Comparison(
        rows=len(old),
        compared=int(both.sum()),
        agreed=int((both & ~differ).sum()),
        differences=_differences(old[differ], new[differ]),
        champion=_side(champion, old, of_old, int(known.sum()), sample),
        challenger=_side(challenger, new, of_new, int(known.sum()), sample),
        labelled=int(known.sum()),
        main_metric=task.MAIN_METRIC,
        gain=gain,
    )


def _predicted(
    champion: Loaded, challenger: Loaded, path: Path, labels: str | None, columns: dict[str, str]
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return both versions' predictions with the labels, in the order of the input, and rows to measure latency on."""
    parts: tuple[list[pd.DataFrame], list[pd.DataFrame]] = ([], [])
    sample = pd.DataFrame()
    for chunk in layouts.of(path, None).chunks(batch.ROWS):
        if labels is not None and labels not in chunk.rows:
            raise TidemillError(f"{path} has no column {labels!r}; it has: {', '.join(map(str, chunk.rows.columns))}")
        label = chunk.rows[labels] if labels is not None else pd.Series(None, chunk.rows.index, dtype=object)
        label = label.map(features.as_label, na_action="ignore").replace("", None)  # an empty cell of a CSV file
        for loaded, found in zip((champion, challenger), parts, strict=True):
            inputs = batch.named(chunk, loaded.predictor, columns)
            found.append(batch.predicted(loaded.predictor, inputs).assign(label=label))
        usable = parts[0][-1]["reason"].isna() & parts[1][-1]["reason"].isna()
        sample = pd.concat([sample, inputs.rows[usable]]).head(EXAMPLES)
    if not parts[0]:
        raise TidemillError(f"{path} holds no rows")
    old, new = (pd.concat(found, ignore_index=True) for found in parts)
    rows = range(1, len(old) + 1)
    return old.assign(id=rows), new.assign(id=rows), sample.assign(id=range(len(sample)))


def _metrics(loaded: Loaded, predicted: pd.DataFrame) -> Metrics | None:
    if predicted.empty:
        return None
    task, spec = scoring.of(loaded.predictor.task), loaded.predictor.spec
    return task.metrics(task.score(predicted.reset_index(drop=True), spec), spec)


def _side(
    loaded: Loaded, predicted: pd.DataFrame, metrics: Metrics | None, labelled: int, sample: pd.DataFrame
) -> Side:
    return Side(
        version=loaded.name,
        unanswered=int(predicted["reason"].notna().sum()),
        metrics=intervals(metrics, labelled, Bootstrap()) if metrics else {},
        latency=latency(loaded.predictor, sample, seed=0),
    )


def _differences(old: pd.DataFrame, new: pd.DataFrame) -> list[Difference]:
    return [
        Difference(
            row=int(str(row)) + 1,
            champion=str(old["prediction"][row]),
            challenger=str(new["prediction"][row]),
            label=None if pd.isna(old["label"][row]) else str(old["label"][row]),
        )
        for row in old.index[:SHOWN]
    ]


def _reason(old: pd.DataFrame, new: pd.DataFrame) -> str:
    return str(old["reason"].fillna(new["reason"]).iloc[0])
