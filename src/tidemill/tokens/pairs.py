"""How a tokenizer frames a pair of texts: its special tokens before, between and after them, and their types."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tidemill.core.errors import TidemillError

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

PROBE = ("a", "b")
"""Any two texts: the frame is the same for all."""


@dataclass(frozen=True)
class Frame:
    """What the tokenizer's post-processor adds to a pair; each type is that of a token, in order."""

    before: list[int]
    between: list[int]
    after: list[int]
    types: tuple[list[int], int, list[int], int, list[int]]
    """Types of the tokens before, of the first text, of those between, of the second text, and of those after."""

    def head(self, first: list[int]) -> list[int]:
        """Return the tokens up to the second text."""
        return [*self.before, *first, *self.between]

    def types_of(self, first: int, second: int) -> NDArray[np.uint8]:
        """Return the types of a whole pair (T,), by the number of tokens of both texts."""
        before, of_first, between, of_second, after = self.types
        return np.array([*before, *[of_first] * first, *between, *[of_second] * second, *after], np.uint8)


def frame(tokenizer: "Tokenizer") -> Frame:
    """Return the frame of a tokenizer.

    Raises:
        TidemillError: it encodes a text of a pair in another way than the text alone.
    """
    whole = tokenizer.encode(*PROBE)
    first, second = (tokenizer.encode(text, add_special_tokens=False).ids for text in PROBE)
    start = _place(whole, first, range(len(whole.ids)))
    middle = start + len(first)
    later = _place(whole, second, range(len(whole.ids) - len(second), middle - 1, -1))
    end = later + len(second)
    ids, types = whole.ids, whole.type_ids
    return Frame(
        before=ids[:start],
        between=ids[middle:later],
        after=ids[end:],
        types=(types[:start], types[start], types[middle:later], types[later], types[end:]),
    )


def _place(whole: "Encoding", part: list[int], places: range) -> int:
    """Return the first of these places at which a part stands."""
    for place in places:
        if whole.ids[place : place + len(part)] == part:
            return place
    raise TidemillError("tokenize.tokenizer encodes a text of a pair in another way than the text alone")
