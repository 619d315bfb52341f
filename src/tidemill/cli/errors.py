"""How every command reports a mistake."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tidemill.core.errors import TidemillError


@contextmanager
def one_line() -> Iterator[None]:
    """End the command with one line and exit code 1 where a mistake is one that the user can fix."""
    try:
        yield
    except TidemillError as error:
        sys.exit(f"error: {error}")
