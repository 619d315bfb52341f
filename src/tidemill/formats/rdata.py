"""Texts from the data of an R package: character vectors, one line of text per element, in a lazy-load database.

`Rdata.rdx` is the index and `Rdata.rdb` the values, both in R's serialization, compressed by zlib.
Source: R Internals, sections 1.8 "Serialization Formats" and 4 "The lazy-loading mechanism" (R Core Team).
"""

import re
import struct
import zlib
from pathlib import Path
from typing import Any

import pandas as pd

from tidemill.core.errors import TidemillError
from tidemill.core.params import Params
from tidemill.formats.common import files

NULL, REFERENCE = 254, 255
SYMBOL, PAIRS, CHARACTERS, LOGICAL, INTEGER, REAL, STRINGS, LIST = 1, 2, 9, 10, 13, 14, 16, 19
HAS_ATTRIBUTES, HAS_TAG, IS_LATIN1 = 0x200, 0x400, 0x4000
LARGEST = 1 << 30
"""Bytes that an unpacked value may have."""


class Options(Params):
    """How the lines of a vector become rows."""

    begins: str | None = None
    """A pattern: a line that matches it begins a new row, e.g. `^CHAPTER`; null makes each vector one row."""
    unwrapped: bool = False
    """Whether the lines of a paragraph are joined; paragraphs stay apart by a blank line."""


bring = None
"""The files cannot be downloaded."""


def read(path: Path, options: Options) -> pd.DataFrame:
    """Read the database. Columns: `text`, `row`."""
    tables = [_rows(name, lines, options) for name, lines in _vectors(path).items()]
    return pd.concat(tables, ignore_index=True)


def _rows(name: str, lines: list[str], options: Options) -> pd.DataFrame:
    starts = [number for number, line in enumerate(lines) if number == 0 or _begins(line, options)]
    pieces = [lines[start:end] for start, end in zip(starts, [*starts[1:], len(lines)], strict=True)]
    texts = [_unwrapped(piece) if options.unwrapped else "\n".join(piece) for piece in pieces]
    return pd.DataFrame({"text": texts, "row": [f"{name}:{start + 1}" for start in starts]})


def _begins(line: str, options: Options) -> bool:
    return options.begins is not None and re.search(options.begins, line) is not None


def _unwrapped(lines: list[str]) -> str:
    paragraphs = re.split(r"\n\s*\n", "\n".join(line.strip() for line in lines))
    return "\n\n".join(paragraph.replace("\n", " ") for paragraph in paragraphs)


def _vectors(path: Path) -> dict[str, list[str]]:
    """Return the character vectors of a database by name; values of other types are left out."""
    index, values = (files.read_bytes(path / f"Rdata.{suffix}") for suffix in ("rdx", "rdb"))
    try:
        found = {name: _value(values, *place) for name, place in _unpacked_value(index)["variables"].items()}
    except (struct.error, zlib.error, KeyError, TypeError, ValueError, IndexError, RecursionError) as error:
        raise TidemillError(f"{path} holds no R data that can be read: {error}") from error
    texts = {name: value for name, value in found.items() if _is_text(value)}
    if not texts:
        raise TidemillError(f"{path} holds no character vectors; it has: {', '.join(found)}")
    return texts


def _value(values: bytes, offset: int, length: int) -> Any:
    """Read a value: 4 bytes for its unpacked length, then the packed content."""
    return _unpacked_value(values[offset + 4 : offset + length])


def _unpacked_value(packed: bytes) -> Any:
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # with zlib's or gzip's header
    content = unpacker.decompress(packed, LARGEST)
    if not unpacker.eof:
        raise zlib.error("truncated, or larger than 1 GB")
    return _Reader(content).value()


def _is_text(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(line, str) for line in value)


class _Reader:
    """Reads one value of R's XDR serialization, versions 2 and 3. Attributes other than names are skipped."""

    def __init__(self, content: bytes) -> None:
        self.content, self.place, self.symbols = content, 0, list[Any]()
        mark, version, *_ = self._unpack(">2sIII")
        if mark != b"X\n" or version not in (2, 3):
            raise TypeError("not R's XDR serialization of version 2 or 3")
        if version == 3:
            self._bytes(self._integer())  # the encoding of the session that wrote it

    def value(self) -> Any:
        """Read a list, a dict if the elements have names, a string, a number or None."""
        flags = self._integer()
        kind = flags & 0xFF
        if kind == NULL:
            return None
        if kind == REFERENCE:
            return self.symbols[(flags >> 8) - 1]
        if kind == SYMBOL:
            self.symbols.append(self.value())
            return self.symbols[-1]
        if kind == PAIRS:
            return self._pairs(flags)
        if kind == CHARACTERS:
            length = self._integer()
            return None if length == -1 else self._bytes(length).decode("latin-1" if flags & IS_LATIN1 else "utf-8")
        elements = self._elements(kind)
        attributes = (self.value() if flags & HAS_ATTRIBUTES else None) or {}
        return dict(zip(attributes["names"], elements, strict=True)) if "names" in attributes else elements

    def _elements(self, kind: int) -> list[Any]:
        count = self._integer()
        if kind in (STRINGS, LIST):
            return [self.value() for _ in range(count)]
        if kind in (LOGICAL, INTEGER, REAL):
            return list(self._unpack(f">{count}{'d' if kind == REAL else 'i'}"))
        raise TypeError(f"values of R's type {kind} are not supported")

    def _pairs(self, flags: int) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        while flags & 0xFF == PAIRS:
            if flags & HAS_ATTRIBUTES:
                self.value()
            tag = self.value() if flags & HAS_TAG else None
            found[tag] = self.value()
            flags = self._integer()
        return found

    def _integer(self) -> int:
        (number,) = self._unpack(">i")
        return int(number)

    def _bytes(self, length: int) -> bytes:
        (content,) = self._unpack(f">{length}s")
        return bytes(content)

    def _unpack(self, layout: str) -> tuple[Any, ...]:
        fields = struct.unpack_from(layout, self.content, self.place)
        self.place += struct.calcsize(layout)
        return fields
