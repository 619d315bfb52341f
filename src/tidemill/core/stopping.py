"""Points at which long work can be ended: whoever began it says when, whoever does it asks between its steps.

A thread cannot be ended from outside, so a generated token, or a batch, is where work for nobody ends.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Stopped(Exception):
    """The work was ended before it had a result; the message says why."""


def _never() -> None:
    """Let the work go on: nobody has set a condition."""


_condition: ContextVar[Callable[[], None]] = ContextVar("condition", default=_never)


@contextmanager
def stopped_by(condition: Callable[[], None]) -> Iterator[None]:
    """Ask the condition at each point that the block reaches; it raises `Stopped` where the work is to end."""
    token = _condition.set(condition)
    try:
        yield
    finally:
        _condition.reset(token)


def point() -> None:
    """Mark a point between two steps.

    Raises:
        Stopped: the work is to end here.
    """
    _condition.get()()
