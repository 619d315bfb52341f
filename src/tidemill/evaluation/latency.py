"""How long one prediction takes a user who waits for it: one row at a time, on one core of this machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any, Protocol

import numpy as np
import pandas as pd

EXAMPLES = 100
REPEATS = 3
WARM_UP = 10
SLOWEST = 6


class Predicts(Protocol):
    """What is timed: a `tidemill.tasks._predictor.Predictor`."""

    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        """An answer a row."""


def latency(predictor: Predicts, rows: pd.DataFrame, seed: int) -> dict[str, Any]:
    """Percentiles in milliseconds over a sample of rows, and the slowest of them by id.

    Each row counts with its median of a few repeats, so that a slow row is slow by itself and not by chance.
    """
    sample = rows.sample(min(EXAMPLES, len(rows)), random_state=seed)
    one_by_one = [sample.iloc[[number]] for number in range(len(sample))]
    with _one_core():
        for row in one_by_one[:WARM_UP]:
            _milliseconds(predictor, row)
        taken = np.array([np.median([_milliseconds(predictor, row) for _ in range(REPEATS)]) for row in one_by_one])
    slowest = np.argsort(-taken, kind="stable")[:SLOWEST]
    return {
        "examples": len(sample),
        "p50_ms": round(float(np.percentile(taken, 50)), 3),
        "p95_ms": round(float(np.percentile(taken, 95)), 3),
        "slowest": [{"id": str(sample["id"].iloc[n]), "ms": round(float(taken[n]), 3)} for n in slowest],
    }


@contextmanager
def _one_core() -> Iterator[None]:
    """Threads that wait for each other on a busy machine would be timed instead of the model."""
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
