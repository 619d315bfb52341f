"""Versions that predict requests as they come: one whose predictions are returned, and one that is compared with it."""

import json
import queue
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from tidemill.core.errors import TidemillError
from tidemill.core.stopping import Stopped, stopped_by
from tidemill.serving.followed_alias import FollowedAlias
from tidemill.serving.live_comparison import LiveComparison, Predictions
from tidemill.serving.loading import Loaded
from tidemill.serving.predictions import predict_each, records
from tidemill.serving.troubles import Log, Troubles

BACKLOG = 100
"""Requests that may wait for the version beside; any more it does not get, so that no response ever waits for it."""
ASLEEP = 0.2
"""Seconds after which a thread without work looks whether it is to end."""


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
        self._waiting: queue.Queue[Request] = queue.Queue(BACKLOG)
        self._comparison: LiveComparison | None = None
        self._lock = threading.Lock()
        self._closing, self._too_late = threading.Event(), threading.Event()
        self.troubles = Troubles(log)
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
            followed.try_update(self.troubles)

    def predict(self, rows: pd.DataFrame, options: dict[str, Any]) -> Predictions:
        """Return the predictions for a request.

        Raises:
            TidemillError: a column is missing, or an option is unknown or out of range.
        """
        by, other = self.main, self.shadow
        if other and _lot(rows) < self._canary:
            by, other = other, by
        predictions = _predict(by, rows, options)
        if other or self._record:
            self._put(Request(rows, options, predictions, other, time.time()))
        return predictions

    def comparison(self) -> dict[str, Any] | None:
        """Return what is known so far of the two versions that are compared now."""
        with self._lock:
            found = self._present_comparison()
            return found.document() if found else None

    def close(self, seconds: float | None = None) -> None:
        """Compare and record what still waits; after so many seconds, drop the rest."""
        self._closing.set()
        self._thread.join(seconds)
        if self._thread.is_alive():
            self._too_late.set()
            self._log(
                f"at least {self._waiting.qsize() + 1} requests were not compared or not recorded: no time was left"
            )

    def _put(self, request: Request) -> None:
        with self.troubles.caught("a request was neither compared nor recorded"):
            try:
                self._waiting.put_nowait(request)
            except queue.Full as error:
                with self._lock:
                    if comparison := self._present_comparison():
                        comparison.missed += len(request.rows)
                raise TidemillError(f"{self._waiting.maxsize} others wait for that already") from error

    def _work(self) -> None:
        while request := self._next():
            other = None
            if request.other:
                with self.troubles.caught("a request was not compared"):
                    other = self._predict_beside(request.other, request)
                    self._count(request, other)
            if self._record:
                with self.troubles.caught("a request was not recorded"):
                    _append(self._record, request, other)

    def _next(self) -> Request | None:
        """Wait for a request; return None when there will be none any more, or no time for it."""
        while not self._too_late.is_set():
            try:
                return self._waiting.get(timeout=ASLEEP)
            except queue.Empty:
                if self._closing.is_set():
                    break
        return None

    def _predict_beside(self, by: Loaded, request: Request) -> Predictions:
        def condition() -> None:
            if self._too_late.is_set():
                raise Stopped("the service has ended")

        with stopped_by(condition):
            return _predict(by, request.rows, request.options)

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


def _predict(by: Loaded, rows: pd.DataFrame, options: dict[str, Any]) -> Predictions:
    by.predictor.options(options)
    missing = [name for name in by.predictor.inputs if name not in rows]
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
