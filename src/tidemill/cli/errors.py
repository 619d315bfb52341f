"""How every command reports a mistake."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tidemill.core.errors import TidemillError


@contextmanager
def one_line() -> Iterator[None]:
    """End the command with one line and exit code 1 where what is wrong is a mistake, or the disk, which a user can fix."""
    try:
        yield
    except TidemillError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(f"error: {error.strerror or error} {error.filename or ''}".rstrip())
