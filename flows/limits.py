"""Named limits that hold for all runs of a user on one machine: of the stages that name `gpu`, so many at once.

A limit of N is N lock files. Whoever runs a stage holds one of them, and gives it back by ending, however it ends.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote

from filelock import FileLock, Timeout

DEFAULTS = "TIDEMILL_LIMITS"
"""The variable that sets limits for every run on a machine: `gpu=1,database=2`."""
FOLDER = "TIDEMILL_LIMITS_FOLDER"
"""The variable that names the folder of the lock files: several users of one machine may share one."""
POLL_SECONDS = 0.2
"""How often a limit that others have used up is tried again."""


class LimitError(Exception):
    """A limit is not `NAME=N`: one line that says so."""


def parse(text: str) -> tuple[str, int]:
    """Return name and number of `gpu=1`.

    Raises:
        LimitError: it is something else.
    """
    name, _, count = text.strip().partition("=")
    if not name or not count.isdecimal() or int(count) < 1:
        raise LimitError(f"{text!r} is not NAME=N with N at least 1, as in gpu=1")
    return name, int(count)


def of_this_machine() -> dict[str, int]:
    """Return the limits that the environment sets for every run.

    Raises:
        LimitError: the variable holds something else.
    """
    return dict(parse(text) for text in os.environ.get(DEFAULTS, "").split(",") if text.strip())


@contextmanager
def held(limits: Mapping[str, int], waiting: Callable[[str], None] = lambda name: None) -> Iterator[None]:
    """Wait until each of these limits has room on this machine, and take one place in each.

    Args:
        limits: how many may hold each at once.
        waiting: is told, once, the name of a limit that is used up.
    """
    with ExitStack() as places:
        for name in sorted(limits):  # always in the same order: nobody waits for what another waits with
            places.callback(_acquire(name, limits[name], waiting).release)
        yield


def _acquire(name: str, count: int, waiting: Callable[[str], None]) -> FileLock:
    """Return one of the limit's locks, held."""
    locks = [FileLock(_folder() / f"{quote(name, safe='')}.{number}.lock") for number in range(count)]
    told = False
    while not (free := next((lock for lock in locks if _taken(lock)), None)):
        if not told:
            waiting(name)
        told = True
        time.sleep(POLL_SECONDS)
    return free


def _taken(lock: FileLock) -> bool:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    return True


def _folder() -> Path:
    folder = Path(os.environ.get(FOLDER) or Path(tempfile.gettempdir(), f"tidemill-limits-{os.getuid()}"))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
