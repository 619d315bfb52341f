"""How every command reports a mistake."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tidemill.core.errors import TidemillError
from tidemill.tracking.store import failing_in_one_line


@contextmanager
def one_line() -> Iterator[None]:
    """End the command with one line and exit code 1 where what is wrong can be fixed: a mistake, the disk, the store."""
    try:
        with failing_in_one_line():
            yield
    except TidemillError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(f"error: {error.strerror or error} {error.filename or ''}".rstrip())
