"""A point of a curve, and who receives points while a model trains."""

from collections.abc import Callable, Sequence
from typing import NamedTuple


class Point(NamedTuple):
    """One value of a metric at one step of a training."""

    name: str
    value: float
    step: int
    timestamp: int
    """Milliseconds since 1970."""


Report = Callable[[Sequence[Point]], None]
"""Receives the points of a training as they are measured."""
