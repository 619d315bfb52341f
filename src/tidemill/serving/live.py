"""Versions that predict requests as they come: one whose predictions are returned, and one that is compared with it."""

import json
import os
import queue
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from tidemill.core.errors import TidemillError
from tidemill.serving.followed_alias import FollowedAlias, Log
from tidemill.serving.live_comparison import LiveComparison, Predictions
from tidemill.serving.loading import Loaded
from tidemill.serving.predictions import predict_each, records

BACKLOG = 100
"""Requests that may wait for the version beside; any more it does not get, so that no response ever waits for it."""


@dataclass(frozen=True)
class Request:
    """A request that was served, to be predicted by the other version and to be recorded."""

    rows: pd.DataFrame
    options: dict[str, Any]
    predictions: Predictions
    other: Loaded | None
    at: float
    """Seconds since 1970."""


class Live:
    """Predicts with one version, and afterwards with another for comparison. Safe to call from many threads."""

    def __init__(
        self, address: str, log: Log, shadow: str | None = None, canary: float = 0.0, record: Path | None = None
    ) -> None:
        """Load what the addresses name.

        Args:
            address: the version whose predictions are returned, `models:/digits@champion`.
            log: receives what the operator should know.
            shadow: the version that is compared with it; while there is none, or it is the same, nothing is compared.
            canary: the share of requests that the shadow predicts instead, compared with the first version.
            record: a file to which each row is appended with its predictions, as JSON lines.

        Raises:
            TidemillError: the first address names no version, or one that is not what was registered.
        """
        self._main = FollowedAlias(address, log)
        self._shadow = FollowedAlias(shadow, log) if shadow else None
        self._log, self._canary, self._record = log, canary, record
        self._waiting: queue.Queue[Request | None] = queue.Queue(BACKLOG)
        self._comparison: LiveComparison | None = None
        self._lock = threading.Lock()
        self._free = threading.Semaphore(_parallel_requests())
        self._main.update()
        self.refresh()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    @property
    def main(self) -> Loaded:
        """The version whose predictions are returned."""
        assert self._main.loaded is not None  # the first update loaded one, or there is no object
        return self._main.loaded

    @property
    def shadow(self) -> Loaded | None:
        """The version that is compared with it, where there is another."""
        found = self._shadow.loaded if self._shadow else None
        return found if found and found.name != self.main.name else None

    def refresh(self) -> None:
        """Follow aliases that have moved."""
        for followed in filter(None, (self._main, self._shadow)):
            followed.try_update()

    def predict(self, rows: pd.DataFrame, options: dict[str, Any]) -> Predictions:
        """Return the predictions for a request.

        Raises:
            TidemillError: a column is missing, or an option is unknown or out of range.
        """
        by, other = self.main, self.shadow
        if other and _lot(rows) < self._canary:
            by, other = other, by
        with self._free:
            predictions = _predict(by, rows, options)
        if other or self._record:
            self._put(Request(rows, options, predictions, other, time.time()))
        return predictions

    def comparison(self) -> dict[str, Any] | None:
        """Return what is known so far of the two versions that are compared now."""
        with self._lock:
            found = self._present_comparison()
            return found.document() if found else None

    def close(self) -> None:
        """Compare and record what still waits."""
        self._waiting.put(None)
        self._thread.join()

    def _put(self, request: Request) -> None:
        try:
            self._waiting.put_nowait(request)
        except queue.Full:
            with self._lock:
                if comparison := self._present_comparison():
                    comparison.missed += len(request.rows)

    def _work(self) -> None:
        while request := self._waiting.get():
            try:
                other = _predict(request.other, request.rows, request.options) if request.other else None
                if other:
                    self._count(request, other)
                if self._record:
                    _append(self._record, request, other)
            except (TidemillError, OSError) as error:  # it must not affect who sent the request
                self._log(f"a request was not compared or not recorded: {error}")

    def _count(self, request: Request, other: Predictions) -> None:
        by_version = {request.predictions.version: request.predictions, other.version: other}
        with self._lock:
            found = self._present_comparison()
            if found and {found.champion, found.challenger} == set(by_version):  # otherwise an alias has moved since
                found.count(request.rows, by_version[found.champion], by_version[found.challenger])

    def _present_comparison(self) -> LiveComparison | None:
        """Return that of the present versions; a new one where one of them is new."""
        names = (self.main.name, self.shadow.name) if self.shadow else None
        known = self._comparison
        if names is None:
            self._comparison = None
        elif known is None or names != (known.champion, known.challenger):
            self._comparison = LiveComparison(self.main.predictor.task, *names)
        return self._comparison


def _parallel_requests() -> int:
    """Return how many requests are predicted at the same time: as many as there are cores for torch's threads.

    More would compete for the cores, and all of them take longer. What is only compared is not counted: no response
    waits for it.
    """
    import torch

    return max(1, (os.cpu_count() or 1) // torch.get_num_threads())


def _predict(by: Loaded, rows: pd.DataFrame, options: dict[str, Any]) -> Predictions:
    by.predictor.options(options)
    missing = [name for name in by.predictor.rows.INPUTS if name not in rows]
    if missing:
        raise TidemillError(f"the rows have no {missing[0]!r}; they have: {', '.join(map(str, rows))}")
    start = time.perf_counter()
    found = predict_each(by.predictor, rows, options)
    return Predictions(by.name, found, time.perf_counter() - start)


def _lot(rows: pd.DataFrame) -> float:
    """Return a number from 0 to 1 that is the same for the same request."""
    return int(pd.util.hash_pandas_object(rows.astype(str), index=False).iloc[0]) / 2**64


def _append(record: Path, request: Request, other: Predictions | None) -> None:
    table = request.rows.assign(asked_at=request.at, answered_by=request.predictions.version)
    table = table.assign(answer=request.predictions.rows["prediction"])
    if other:
        table = table.assign(compared_with=other.version, other_answer=other.rows["prediction"])
    lines = [json.dumps(row, ensure_ascii=False) for row in records(table)]
    with record.open("a", encoding="utf-8") as stream:
        stream.write("\n".join(lines) + "\n")
