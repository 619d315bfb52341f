"""Labels of rows: the order they are listed in, and how many may be told apart."""

from collections.abc import Iterable

MOST_LABELS = 1000
"""Beyond, the linear baseline alone takes gigabytes."""
SEPARATOR = "; "
"""What stands between the labels of a row where they are written as one text."""


def in_order(labels: Iterable[str]) -> list[str]:
    """Sort labels, numbers by their size and before words."""
    return sorted(labels, key=_numbers_first)


def joined(labels: Iterable[str]) -> str:
    """Write a set of labels as one text, empty for none."""
    return SEPARATOR.join(labels)


def _numbers_first(label: str) -> tuple[bool, float, str]:
    return (not label.isdecimal(), float(label) if label.isdecimal() else 0.0, label)
