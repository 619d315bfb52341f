"""What a stage writes, as lines for the log: cut, thinned and in batches, so that no output slows the stage that makes it."""

import re
import time
from collections import deque
from collections.abc import Callable
from typing import BinaryIO

PROGRESS_SECONDS = 5.0
"""A progress bar redraws itself many times a second; its line is passed on at most this often, and at its end."""
LONGEST_LINE = 4096
"""Bytes of a line that go to the log; all of it is in the stage's own file."""
BATCH_FROM = 10
"""So many lines read at once go to the log as one record: each costs Prefect a millisecond."""
LAST_LINES = 15
"""Lines of a failed stage's output that are kept to tell why."""
ERROR = re.compile(r"^(?:[\w.]*(?:Error|Exception|Exit|Interrupt|Warning)|error|fatal)\b.*", re.IGNORECASE)
"""How the line begins in which Python, and most tools, say what went wrong."""

Emit = Callable[[str], None]


class Lines:
    """Cuts a stream of bytes into lines; of a progress bar's redraws it lets through one every few seconds.

    `emit` gets the text of one record: a line, or many where many came at once. `whole`, if given, gets every byte.
    """

    def __init__(self, emit: Emit, whole: BinaryIO | None = None) -> None:
        self._emit = emit
        self._whole = whole
        self._line = bytearray()
        self._dropped = 0
        self._half_end = b""
        self._redraw = ""
        self._shown_at = float("-inf")
        self._batch: list[str] = []
        self.last: deque[str] = deque(maxlen=LAST_LINES)

    def feed(self, data: bytes) -> None:
        """Take the next bytes, and pass on the lines that end in them."""
        if self._whole:
            self._whole.write(data)
        data, self._half_end = self._half_end + data, b""
        if data.endswith(b"\r"):  # perhaps one half of "\r\n": wait for the next byte
            data, self._half_end = data[:-1], b"\r"
        *pieces, rest = re.split(rb"(\r\n|\n|\r)", data)
        for piece, end in zip(pieces[::2], pieces[1::2], strict=True):
            self._extend(piece)
            self._end_line(redraw=end == b"\r")
        self._extend(rest)
        self._flush()

    def close(self) -> None:
        """Pass on what is left."""
        self._end_line(redraw=False)
        self._flush()

    def error(self) -> str:
        """Return the line that most likely says what went wrong: the last that begins like an error, or the last."""
        errors = [line for line in self.last if ERROR.match(line)]
        return (errors or [*self.last] or [""])[-1]

    def _extend(self, piece: bytes) -> None:
        room = max(0, LONGEST_LINE - len(self._line))
        self._line += piece[:room]
        self._dropped += len(piece[room:])

    def _end_line(self, redraw: bool) -> None:
        line = _plain(bytes(self._line)) + (f" … {self._dropped:,} bytes more" if self._dropped else "")
        self._line.clear()
        self._dropped = 0
        if not redraw:
            self._show(line or self._redraw)
            self._redraw = ""
        elif time.monotonic() - self._shown_at >= PROGRESS_SECONDS:
            self._show(line)
            self._redraw = ""
        else:
            self._redraw = line or self._redraw

    def _show(self, line: str) -> None:
        if line:
            self._shown_at = time.monotonic()
            self.last.append(line)
            self._batch.append(line)

    def _flush(self) -> None:
        records = self._batch if len(self._batch) < BATCH_FROM else ["\n".join(self._batch)]
        self._batch = []
        for record in records:
            self._emit(record)


def _plain(line: bytes) -> str:
    """Decode a line of terminal output and drop its colours and cursor moves."""
    return re.sub(r"\x1b\[[0-?]*[ -/]*[@-~]", "", line.decode("utf-8", "replace")).rstrip()
