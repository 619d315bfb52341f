"""Whether columns are distributed as they were. Distances and the report are Evidently's.

A column has drifted where two things hold: it is far (a distance above the limit), and not by chance (a test, its level
divided by the number of columns). The first alone cries wolf on few rows, the second on many.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from tidemill.serving.features import is_number

LEVEL = 0.001
"""Largest chance that any column of unchanged inputs is reported to have drifted."""
DISTANCES = {"number": "wasserstein", "class": "jensenshannon"}


@dataclass(frozen=True)
class Column:
    """How one column compares."""

    name: str
    kind: str
    distance: float
    chance: float
    """Probability of such a distance or a larger one, had nothing changed."""
    drifted: bool

    def __str__(self) -> str:
        return f"{self.name} {'has drifted' if self.drifted else 'is as it was'}: distance {self.distance:.3f}"


def compare(reference: pd.DataFrame, current: pd.DataFrame, distance: float, page: Path) -> list[Column]:
    """Compare each column of two tables with the same columns; `page` becomes Evidently's own report of them."""
    kinds = {str(name): "number" if is_number(reference[name], current[name]) else "class" for name in reference}
    distances = _distances(reference, current, kinds, distance, page)
    level = LEVEL / max(1, len(kinds))
    found = []
    for name, kind in kinds.items():
        chance = _chance(reference[name], current[name], kind)
        found.append(Column(name, kind, distances[name], chance, distances[name] > distance and chance < level))
    return found


def _chance(reference: "pd.Series[Any]", current: "pd.Series[Any]", kind: str) -> float:
    """Return the p-value of two samples: Kolmogorov-Smirnov, or chi-square of the table of counts.

    Evidently's chi-square takes the reference for the whole population instead of a sample, and so cries wolf.
    """
    from scipy import stats

    if kind == "number":
        return float(stats.ks_2samp(reference.dropna(), current.dropna()).pvalue)
    counts = [column.astype(str).value_counts() for column in (reference, current)]
    table = pd.concat(counts, axis=1).fillna(0).to_numpy()
    return float(stats.chi2_contingency(table).pvalue)


def _distances(
    reference: pd.DataFrame, current: pd.DataFrame, kinds: dict[str, str], limit: float, page: Path
) -> dict[str, float]:
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    definition = DataDefinition(
        numerical_columns=[name for name, kind in kinds.items() if kind == "number"],
        categorical_columns=[name for name, kind in kinds.items() if kind == "class"],
    )
    metrics: list[Any] = [
        ValueDrift(column=name, method=DISTANCES[kind], threshold=limit) for name, kind in kinds.items()
    ]
    tables = [Dataset.from_pandas(table, data_definition=definition) for table in (current, reference)]
    found = Report(metrics).run(*tables)
    found.save_html(str(page))
    return {metric["config"]["column"]: float(metric["value"]) for metric in found.dict()["metrics"]}
