"""Decoding text files: their lines, the flaws of these, and guessing an encoding."""

import codecs
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import IO

from tidemill.core.errors import TidemillError
from tidemill.formats.common.files import LONGEST_LINE, opened, pieces

TOLERATED_SHARE = 0.01
"""Share of wrongly encoded rows from which the whole file is taken to be in another encoding."""
PLAUSIBLE = 0.2
"""Mess ratio (of `charset-normalizer`) up to which a text is taken to be in Western encoding, the most frequent old one."""
NUL = "holds a NUL character"
SURROGATE = re.compile("[\ud800-\udfff]")


def lines(path: Path, encoding: str, newline: str | None = None) -> Iterator[str]:
    """Yield the lines of a file, with their ends, holding no more than one in memory.

    Bytes that are not in the encoding become lone surrogates, so that `flaw` finds their line.

    Args:
        newline: as for `open`: None makes every line end `\\n`, an empty string keeps it as it is.
    """
    known_encoding(encoding)
    with opened(path) as stream, io.TextIOWrapper(stream, encoding, "surrogateescape", newline) as text:
        for number in count(1):
            line = _next_line(text, path, encoding)
            if len(line) > LONGEST_LINE:
                raise TidemillError(f"{path}:{number} has more than {LONGEST_LINE:,} characters: shorten or remove it")
            if not line:
                return
            yield line


def flaw(text: str, encoding: str) -> str | None:
    """Return why a line cannot be used, or None; it cannot if its bytes are not text in the encoding."""
    if "\0" in text:
        return NUL
    return f"not {encoding}" if SURROGATE.search(text) else None


def check_decoding(files: Sequence[Path], encoding: str, reasons: Iterable[str | None]) -> None:
    """Refuse rows of which more than a few are wrongly encoded: then the encoding is wrong, not the rows.

    Args:
        files: the one file that all rows are from, or the file of each.
        reasons: the `flaw` of each row.

    Raises:
        TidemillError: more than `TOLERATED_SHARE` of the rows are wrongly encoded; the likely encoding is given.
    """
    reasons = list(reasons)
    wrong = [number for number, reason in enumerate(reasons) if reason in (NUL, f"not {encoding}")]
    if len(wrong) > TOLERATED_SHARE * len(reasons):
        file = files[wrong[0] % len(files)]
        binary = NUL in reasons
        raise TidemillError(
            f"{file} is not {'text' if binary else encoding}: {len(wrong)} of {len(reasons)} rows, "
            f"the first is {wrong[0] + 1}; {_remedy(file, encoding, binary)}"
        )


def known_encoding(encoding: str) -> str:
    """Return the encoding.

    Raises:
        TidemillError: there is none of that name.
    """
    try:
        codecs.lookup(encoding)
    except LookupError as error:
        raise TidemillError(f"source.options.encoding: no encoding {encoding!r}") from error
    return encoding


def guessed_encoding(content: Iterable[bytes]) -> str | None:
    """Guess the encoding of a file: by its byte-order mark, by being UTF-8, or by what `charset-normalizer` finds likely."""
    from charset_normalizer import from_bytes

    pieces = list(content)
    start = pieces[0] if pieces else b""
    marks = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
    marked = next((name for mark, name in marks.items() if start.startswith(mark)), None)
    if marked or _decodes(pieces, "utf-8-sig"):
        return marked or "utf-8-sig"
    matches = from_bytes(b"".join(pieces))
    western = any(match.chaos <= PLAUSIBLE and "cp1252" in match.could_be_from_charset for match in matches)
    best = matches.best()
    if western or best is None:
        return "cp1252" if western else None
    return best.encoding.replace("_", "-")


def _next_line(text: IO[str], path: Path, encoding: str) -> str:
    try:
        return text.readline(LONGEST_LINE + 1)
    except UnicodeError as error:
        raise TidemillError(f"{path} is not {encoding}: {error}; {_remedy(path, encoding)}") from error


def _remedy(path: Path, encoding: str, binary: bool = False) -> str:
    content = list(pieces(path))
    likely = None if _mixed(content, encoding) else guessed_encoding(content)
    if likely and likely != encoding:
        return f"name its encoding in source.options.encoding, {likely!r} perhaps"
    if binary:
        return "it may be a spreadsheet or an archive: save it as text"
    return "it mixes encodings: convert the whole file to one"


def _mixed(content: Sequence[bytes], encoding: str) -> bool:
    """Whether the encoding is UTF-8 and some lines beyond ASCII decode in it, which no other text does by chance."""
    if codecs.lookup(encoding).name not in ("utf-8", "utf-8-sig"):
        return False
    beyond = [line for line in b"".join(content).splitlines() if not line.isascii()]
    return sum(_decodes([line], encoding) for line in beyond) > len(beyond) / 10


def _decodes(content: Sequence[bytes], encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for piece in content:
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeError:
        return False
    return True
