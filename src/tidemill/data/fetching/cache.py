"""Downloads of one user, shared by all projects; each file is named by its sha256.

Safe with several processes at once: whoever works on a file holds its lock.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def folder() -> Path:
    """`$TIDEMILL_CACHE`, or a folder where the user's system keeps caches."""
    import platformdirs

    chosen = os.environ.get("TIDEMILL_CACHE")
    return Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("tidemill") / "downloads"


@contextmanager
def locked(key: str) -> Iterator[None]:
    """Hold the lock of a key, however long another process takes to let go of it; the cache folder is there then."""
    from filelock import FileLock, Timeout

    locks = folder() / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    lock = FileLock(locks / key)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print("waiting for another fetch of the same file", flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
