"""What does not work at present: logged once, and to be seen from outside, while everything else goes on."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from tidemill.core.errors import TidemillError

Log = Callable[[str], None]
LONGEST = 500
"""Characters of an error that are kept: some libraries quote all of their input."""


@dataclass
class Trouble:
    """One thing that has failed."""

    what: str
    error: str
    since: str
    """When it failed first, or for the first time after it had worked again; in UTC."""
    times: int = 1
    until: str | None = None
    """When it worked again; None while it does not."""


class Troubles:
    """Failures by what failed. Safe to use from many threads."""

    def __init__(self, log: Log) -> None:
        self._log, self._lock = log, threading.Lock()
        self._found: dict[str, Trouble] = {}

    @contextmanager
    def caught(self, what: str) -> Iterator[None]:
        """Keep any exception of the block, which is thereby ended and affects nothing else."""
        try:
            yield
        except Exception as error:
            text = " ".join(str(error).split())[:LONGEST]
            self._failed(what, text if isinstance(error, TidemillError) else f"{type(error).__name__}: {text}")
        else:
            self._worked(what)

    @property
    def present(self) -> bool:
        """Whether something does not work now."""
        return any(trouble.until is None for trouble in self._found.values())

    def document(self) -> list[dict[str, Any]]:
        """Return all of them for JSON, those that are over as well."""
        with self._lock:
            return [asdict(trouble) for trouble in self._found.values()]

    def _failed(self, what: str, error: str) -> None:
        with self._lock:
            known = self._found.get(what)
            is_new = known is None or known.error != error
            if known is None or known.until is not None:
                self._found[what] = Trouble(what, error, _now())
            else:
                known.error, known.times = error, known.times + 1
        if is_new:
            self._log(f"{what}: {error}")

    def _worked(self, what: str) -> None:
        with self._lock:
            known = self._found.get(what)
            if known is not None and known.until is None:
                known.until = _now()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
