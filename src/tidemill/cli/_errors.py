"""How every command tells a mistake."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tidemill.errors import TidemillError


@contextmanager
def one_line() -> Iterator[None]:
    """A mistake that a user can mend ends the command with one line and exit code 1."""
    try:
        yield
    except TidemillError as error:
        sys.exit(f"error: {error}")
