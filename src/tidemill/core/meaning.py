"""What a metric means: in words, and which of two values is the better one."""

from typing import NamedTuple


class Meaning(NamedTuple):
    """What a metric measures, for a reader who does not know it, and which of two values of it is the better one."""

    text: str
    higher_is_better: bool = True

    @property
    def sign(self) -> int:
        """1 if a higher value is the better one, otherwise -1: a difference times it is a gain."""
        return 1 if self.higher_is_better else -1
