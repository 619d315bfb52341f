"""The downloads of a user, shared by all projects; each file is named by its sha256.

Several processes may use it at once: each holds the lock of the file that it works on.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def folder() -> Path:
    """Return `$TIDEMILL_CACHE`, or a folder where the user's system keeps caches."""
    import platformdirs

    chosen = os.environ.get("TIDEMILL_CACHE")
    return Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("tidemill") / "downloads"


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the lock of a name, however long another process takes to release it; creates the cache folder."""
    from filelock import FileLock, Timeout

    locks = folder() / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    lock = FileLock(locks / name)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print("waiting for another fetch of the same file", flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
