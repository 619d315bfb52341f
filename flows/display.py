"""What a run shows while it lasts: a live table on a terminal, plain lines anywhere else."""

import sys
import threading
import time
from collections import deque
from datetime import datetime
from typing import Protocol, Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from flows import durations
from flows.graph import Plan
from flows.report import note, state, styled
from flows.stages import Outcome

REFRESHES = 4
"""A second."""
SHOWN = 5
"""So many of the stages that ended last, and of those that come next."""


class Display(Protocol):
    """What is told of a run. All may be called from any thread."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...

    def started(self, address: str) -> None:
        """Show that a stage has started."""

    def said(self, address: str, text: str) -> None:
        """Show a line of a stage's output, or many at once."""

    def ended(self, address: str, outcome: Outcome) -> None:
        """Show how a stage has ended."""


class Nothing:
    """Shows nothing: somebody else does."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None: ...

    def started(self, address: str) -> None: ...

    def said(self, address: str, text: str) -> None: ...

    def ended(self, address: str, outcome: Outcome) -> None: ...


class PlainLines(Nothing):
    """Prints each line with its time and stage, as Prefect does where it runs the stages."""

    def said(self, address: str, text: str) -> None:
        print(_line(address, text), file=sys.stderr, flush=True)

    def ended(self, address: str, outcome: Outcome) -> None:
        self.said(address, _end(outcome))


class LiveTable:
    """Keeps a table at the foot of the terminal of what runs, what comes next and what has ended; output scrolls above."""

    def __init__(self, plan: Plan, jobs: int, console: Console) -> None:
        self._plan = plan
        self._jobs = jobs
        self._lock = threading.Lock()
        self._seconds = durations.expected(plan)
        self._known = durations.known()
        self._waiting = dict.fromkeys(plan)
        self._running: dict[str, float] = {}
        self._ended: dict[str, Outcome] = {}
        self._last: deque[str] = deque(maxlen=SHOWN)
        self.console = console
        self._live = Live(
            console=console, get_renderable=self._table, refresh_per_second=REFRESHES, transient=True, screen=False
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def started(self, address: str) -> None:
        with self._lock:
            del self._waiting[address]
            self._running[address] = time.monotonic()

    def said(self, address: str, text: str) -> None:
        self.console.print(Text(_line(address, text)), soft_wrap=True)

    def ended(self, address: str, outcome: Outcome) -> None:
        with self._lock:
            del self._running[address]
            self._ended[address] = outcome
            self._last.append(address)

    def _table(self) -> RenderableType:
        with self._lock:
            table = Table(box=None, header_style="bold", pad_edge=False, title=self._title(), title_justify="left")
            for column in ("stage", "state", "seconds", "note"):
                table.add_column(column, justify="right" if column == "seconds" else "left", no_wrap=True)
            for address in self._last:
                outcome = self._ended[address]
                _add(table, address, state(outcome), f"{outcome.seconds:.1f}", note(outcome))
            for address, start in self._running.items():
                passed = time.monotonic() - start
                _add(table, address, "running", f"{passed:.0f}", self._left_of(address, passed))
            for address, _ in zip(self._waiting, range(SHOWN), strict=False):
                _add(table, address, "waiting", "", self._waits_for(address))
            return table

    def _title(self) -> str:
        counts = f"{len(self._ended)} of {len(self._plan)} stages done, {len(self._running)} running"
        return f"{counts}, {len(self._waiting)} waiting{self._left()}"

    def _left(self) -> str:
        """Say how long the rest will take: all its work divided among the jobs, by how long stages took before."""
        if not self._known:
            return ""
        now = time.monotonic()
        running = [max(0.0, self._seconds[one] - (now - start)) for one, start in self._running.items()]
        work = sum(running) + sum(self._seconds[address] for address in self._waiting)
        return f"; about {duration(max([work / self._jobs, *running]))} left"

    def _left_of(self, address: str, passed: float) -> str:
        expected = self._seconds[address]
        if not self._known or not expected:
            return ""
        return f"about {duration(expected - passed)} left" if passed < expected else f"took {duration(expected)} before"

    def _waits_for(self, address: str) -> str:
        needs = [need for need in self._plan[address].needs if need not in self._ended]
        return f"for {', '.join(needs)}" if needs else "for its turn"


def chosen(plan: Plan, jobs: int, otherwise: Display) -> Display:
    """Return the live table where errors go to a terminal, and the other display where they do not."""
    console = Console(stderr=True)
    return LiveTable(plan, jobs, console) if console.is_terminal and not console.is_dumb_terminal else otherwise


def duration(seconds: float) -> str:
    """Return `8 s`, `3 min` or `2.5 h`."""
    if seconds < 100:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _add(table: Table, address: str, how: str, seconds: str, note: str) -> None:
    table.add_row(escape(address), styled(how), seconds, escape(note))


def _line(address: str, text: str) -> str:
    return f"{datetime.now():%H:%M:%S.%f}"[:-3] + f" | {address} | {text}"


def _end(outcome: Outcome) -> str:
    told = f": {outcome.error}" if outcome.error else ""
    return f"{state(outcome)} after {outcome.seconds:.1f} s{told}"
