"""Latency of a single prediction: one row at a time, on one core of this machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any, Protocol

import numpy as np
import pandas as pd

EXAMPLES = 100
FEWEST = 20
"""Rows timed even where they take longer than the budget."""
BUDGET = 8.0
"""Seconds for all rows of a model that is so slow that `EXAMPLES` of them would take longer."""
REPEATS = 3
WARM_UP = 10
SLOWEST = 6


class Predicts(Protocol):
    """What is timed: a `tidemill.inference.predictor.Predictor`."""

    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return a prediction for each row."""


def latency(predictor: Predicts, rows: pd.DataFrame, seed: int) -> dict[str, Any]:
    """Measure percentiles in milliseconds over a sample of rows, and name the slowest by id.

    Each row counts with its median of a few repeats, so that a slow row is slow by itself and not by chance.
    """
    sample = rows.sample(min(EXAMPLES, len(rows)), random_state=seed)
    one_by_one = [sample.iloc[[number]] for number in range(len(sample))]
    with _one_core():
        warm_up = [_milliseconds(predictor, row) for row in one_by_one[:WARM_UP]]
        one_by_one = one_by_one[: _affordable(float(np.median(warm_up)))]
        taken = np.array([np.median([_milliseconds(predictor, row) for _ in range(REPEATS)]) for row in one_by_one])
    slowest = np.argsort(-taken, kind="stable")[:SLOWEST]
    return {
        "examples": len(taken),
        "p50_ms": round(float(np.percentile(taken, 50)), 3),
        "p95_ms": round(float(np.percentile(taken, 95)), 3),
        "slowest": [{"id": str(sample["id"].iloc[n]), "ms": round(float(taken[n]), 3)} for n in slowest],
    }


def _affordable(milliseconds: float) -> int:
    """Return the number of rows that fit the budget at that time a row, within `FEWEST` and `EXAMPLES`."""
    return int(np.clip(BUDGET * 1000 / (REPEATS * max(milliseconds, 1e-3)), FEWEST, EXAMPLES))


@contextmanager
def _one_core() -> Iterator[None]:
    """Use one thread: on a busy machine, threads that wait for each other would be timed instead of the model."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _milliseconds(predictor: Predicts, row: pd.DataFrame) -> float:
    start = perf_counter()
    predictor.predict(row)
    return (perf_counter() - start) * 1000
