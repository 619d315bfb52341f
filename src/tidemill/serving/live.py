"""Versions that answer requests as they come: one that answers, and one beside it that is only compared with it."""

import json
import os
import queue
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from tidemill.errors import TidemillError
from tidemill.serving import batch
from tidemill.serving.follow import Followed, Tell
from tidemill.serving.layouts import Chunk, records
from tidemill.serving.loading import Loaded
from tidemill.serving.tally import Answers, Tally

BEHIND = 100
"""Requests that may wait for the version beside; of more it is not asked, so that no answer ever waits for it."""


@dataclass(frozen=True)
class Asked:
    """A request that was answered, to be asked of the other version and to be written down."""

    rows: pd.DataFrame
    options: dict[str, Any]
    answers: Answers
    other: Loaded | None
    at: float


class Live:
    """Answers with one version, and has another answer the same afterwards. Safe to call from many threads."""

    def __init__(
        self, address: str, tell: Tell, shadow: str | None = None, canary: float = 0.0, record: Path | None = None
    ) -> None:
        """Load what the addresses name.

        Args:
            address: The version that answers, `models:/digits@champion`.
            tell: Is called with what the one who runs this should know.
            shadow: The version that is compared with it; while there is none, or it is the same, nothing is compared.
            canary: The share of requests that the shadow answers, and the first is compared with.
            record: A file to append each row to, with its answers, as JSON lines.

        Raises:
            TidemillError: the first address names no version, or one that is not what was registered.
        """
        self._main = Followed(address, tell)
        self._shadow = Followed(shadow, tell) if shadow else None
        self._tell, self._canary, self._record = tell, canary, record
        self._waiting: queue.Queue[Asked | None] = queue.Queue(BEHIND)
        self._tally: Tally | None = None
        self._lock = threading.Lock()
        self._free = threading.Semaphore(_at_once())
        self._main.look()
        self.refresh()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    @property
    def main(self) -> Loaded:
        """The version that answers."""
        assert self._main.loaded is not None  # the first look found one, or there is no object
        return self._main.loaded

    @property
    def shadow(self) -> Loaded | None:
        """The version that is compared with it, where there is another."""
        found = self._shadow.loaded if self._shadow else None
        return found if found and found.name != self.main.name else None

    def refresh(self) -> None:
        """Follow aliases that have moved."""
        for followed in filter(None, (self._main, self._shadow)):
            followed.look_again()

    def answer(self, rows: pd.DataFrame, options: dict[str, Any]) -> Answers:
        """The answers to a request.

        Raises:
            TidemillError: a column is missing, or there is no such option.
        """
        by, other = self.main, self.shadow
        if other and _lot(rows) < self._canary:
            by, other = other, by
        with self._free:
            answers = _answers(by, rows, options)
        if other or self._record:
            self._put(Asked(rows, options, answers, other, time.time()))
        return answers

    def comparison(self) -> dict[str, Any] | None:
        """What is found so far of the two versions that stand beside each other now."""
        with self._lock:
            tally = self._present_tally()
            return tally.told() if tally else None

    def close(self) -> None:
        """Compare and write down what still waits."""
        self._waiting.put(None)
        self._thread.join()

    def _put(self, asked: Asked) -> None:
        try:
            self._waiting.put_nowait(asked)
        except queue.Full:
            with self._lock:
                if tally := self._present_tally():
                    tally.missed += len(asked.rows)

    def _work(self) -> None:
        while asked := self._waiting.get():
            try:
                other = _answers(asked.other, asked.rows, asked.options) if asked.other else None
                if other:
                    self._count(asked, other)
                if self._record:
                    _append(self._record, asked, other)
            except (TidemillError, OSError) as error:  # nobody who asks is to feel it
                self._tell(f"a request was not compared or not written down: {error}")

    def _count(self, asked: Asked, other: Answers) -> None:
        said = {asked.answers.version: asked.answers, other.version: other}
        with self._lock:
            tally = self._present_tally()
            if tally and {tally.champion, tally.challenger} == set(said):  # else an alias has moved meanwhile
                tally.count(asked.rows, said[tally.champion], said[tally.challenger])

    def _present_tally(self) -> Tally | None:
        """That of the versions of now; a new one where one of them is new."""
        names = (self.main.name, self.shadow.name) if self.shadow else None
        if names is None:
            self._tally = None
        elif self._tally is None or names != (self._tally.champion, self._tally.challenger):
            self._tally = Tally(*names)
        return self._tally


def _at_once() -> int:
    """How many requests are answered at the same time: as many as there are cores for torch's threads.

    More would take each other's cores, and all of them longer. What is only compared is not counted: no answer waits for it.
    """
    import torch

    return max(1, (os.cpu_count() or 1) // torch.get_num_threads())


def _answers(by: Loaded, rows: pd.DataFrame, options: dict[str, Any]) -> Answers:
    by.predictor.chosen(options)
    missing = [name for name in by.predictor.task.INPUTS if name not in rows]
    if missing:
        raise TidemillError(f"the rows have no {missing[0]!r}; they have: {', '.join(map(str, rows))}")
    start = time.perf_counter()
    found = batch.answered(by.predictor, Chunk(rows, [None] * len(rows), None), options)
    return Answers(by.name, found, time.perf_counter() - start)


def _lot(rows: pd.DataFrame) -> float:
    """A number from 0 to 1 that is the same whenever the same is asked."""
    return int(pd.util.hash_pandas_object(rows.astype(str), index=False).iloc[0]) / 2**64


def _append(record: Path, asked: Asked, other: Answers | None) -> None:
    table = asked.rows.assign(asked_at=asked.at, answered_by=asked.answers.version)
    table = table.assign(answer=asked.answers.rows["prediction"])
    if other:
        table = table.assign(compared_with=other.version, other_answer=other.rows["prediction"])
    lines = [json.dumps(row, ensure_ascii=False) for row in records(table)]
    with record.open("a", encoding="utf-8") as stream:
        stream.write("\n".join(lines) + "\n")
