"""Unpacked content that may be so much larger than its file, and no larger: a few megabytes can stand for a full disk."""

import io
from typing import Any

SHARE = 200
"""Times the size of its file that content may have: text that repeats itself has 100, a bomb 1,000 and far more."""
ALWAYS = 2**28
"""Bytes that any file may unpack to."""


class TooLarge(ValueError):
    """The content is more than its file may unpack to."""


class Bounded(io.RawIOBase):
    """A stream of unpacked content that ends with an error where it is too large."""

    def __init__(self, stream: Any, packed: int) -> None:
        """Read `stream`, the content of a file of `packed` bytes."""
        self._stream, self._read, self._most = stream, 0, most(packed)

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read into the buffer, and return how many bytes.

        Raises:
            TooLarge: there have been too many.
        """
        content = self._stream.read(len(buffer))
        self._read += len(content)
        if self._read > self._most:
            raise TooLarge(f"it unpacks to more than {SHARE} times its size, {self._most:,} bytes")
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        """Close the stream beneath as well."""
        self._stream.close()
        super().close()


def most(packed: int) -> int:
    """Return the number of bytes that a file of `packed` bytes may unpack to."""
    return max(ALWAYS, SHARE * packed)
