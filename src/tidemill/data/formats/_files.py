"""Finding, unpacking and decoding the files of a source."""

import bz2
import codecs
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from tidemill.errors import TidemillError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

PACKED = {".gz", ".bz2", ".xz", ".zst", ".zip"}
LONGEST_LINE = 2**24
"""Characters of a line or cell; a longer one is another file, or a quote that nobody closed."""
TOLERATED_SHARE = 0.01
"""Lines that may be wrongly encoded before the whole file counts as of another encoding."""
PLAUSIBLE = 0.2
"""Mess (of `charset-normalizer`) up to which a text is taken for Western, the commonest of the old encodings."""
NUL = "holds a NUL character"

Split = Literal["train", "valid", "test"]

SURROGATE = re.compile("[\ud800-\udfff]")
UNPACKING_ERRORS = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)


def existing(path: str | Path) -> Path:
    """The path, if something stands there."""
    if not Path(path).exists():
        raise TidemillError(
            f"{path} is missing: `tidemill fetch` brings the sources of params.yaml, `dvc pull` a snapshot"
        )
    return Path(path)


def matching(path: Path, pattern: str) -> list[Path]:
    """The file itself, or the files of a folder that match a pattern, in the order of their names; no hidden ones."""
    try:
        found = [path] if path.is_file() else sorted(entry for entry in path.glob(pattern) if entry.is_file())
    except (ValueError, NotImplementedError) as error:
        raise TidemillError(f"source.options: {pattern!r} is no pattern of files inside {path}: {error}") from error
    files = [file for file in found if file == path or not _hidden(file.relative_to(path))]
    if not files:
        raise TidemillError(f"{path} holds no file that matches {pattern!r}: see source.options")
    return files


def split_files(path: Path, pattern: str, splits: Mapping[Split, str]) -> list[tuple[Path, str | None]]:
    """The files to read, each with the split that all its rows belong to, if any."""
    if not splits:
        return [(file, None) for file in matching(path, pattern)]
    return [(file, split) for split, pattern in splits.items() for file in matching(path, pattern)]


def place(file: Path, source: Path) -> str:
    """How messages name a file: by its path inside the source."""
    return file.name if file == source else file.relative_to(source).as_posix()


def read_bytes(path: Path) -> bytes:
    """The whole content, unpacked if its name says that it is packed."""
    with opened(path) as stream:
        return stream.read()


def lines(path: Path, encoding: str, newline: str | None = None) -> Iterator[str]:
    """The lines of a file, with their ends, and never more than one of them in memory.

    Bytes that are not in the encoding become lone surrogates, so that `flaw` finds their line.

    Args:
        newline: As `open` takes it: None makes every line end `\\n`, an empty string keeps it as it is.
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


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The content as a stream, unpacked if the name of the file says that it is packed.

    Raises:
        TidemillError: the file is empty, truncated or damaged.
    """
    if path.stat().st_size == 0:
        raise TidemillError(f"{path} is empty")
    try:
        with _unpacked(path) as stream:
            yield stream
    except UNPACKING_ERRORS as error:
        raise TidemillError(f"{path} cannot be unpacked: {error}") from error


def parquet_rows(file: Path, source: Path, split: str | None) -> "pd.DataFrame":
    """The rows of a Parquet file, with `row` and, where one is given, `split`.

    Raises:
        TidemillError: the file is empty, damaged or no Parquet file, or has a cell longer than `LONGEST_LINE`.
    """
    table = _parquet_table(file)
    rows: pd.DataFrame = table.to_pandas(integer_object_nulls=True, ignore_metadata=True)
    coded = rows.select_dtypes("category").columns
    rows = rows.astype(dict.fromkeys(coded, object))
    places = [f"{place(file, source)}:{number}" for number in range(1, len(rows) + 1)]
    return rows.assign(row=places, **({"split": split} if split else {}))


def flaw(text: str, encoding: str) -> str | None:
    """Why a line cannot be used, if its bytes were no text in that encoding."""
    if "\0" in text:
        return NUL
    return f"not {encoding}" if SURROGATE.search(text) else None


def check_decoding(files: Sequence[Path], encoding: str, reasons: Iterable[str | None]) -> None:
    """Refuse rows of which more than a few are wrongly encoded: then the encoding is wrong, not the rows.

    Args:
        files: The one file all rows are from, or the file of each.
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
    """The encoding, if there is one of that name."""
    try:
        codecs.lookup(encoding)
    except LookupError as error:
        raise TidemillError(f"source.options.encoding: no encoding {encoding!r}") from error
    return encoding


def guessed_encoding(content: Iterable[bytes]) -> str | None:
    """The encoding of a file, by its byte-order mark, by being UTF-8, or by what `charset-normalizer` finds likely."""
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


def pieces(path: Path, size: int = 2**20) -> Iterator[bytes]:
    """The unpacked content, `size` bytes at a time."""
    with opened(path) as stream:
        while piece := stream.read(size):
            yield piece


def plain_stem(path: Path) -> str:
    """The name without its endings: `pos` for `pos.txt.gz`."""
    return Path(unpacked_name(path)).stem


def unpacked_name(path: Path) -> str:
    """The name without the endings of packing: `pos.txt` for `pos.txt.gz`."""
    name = path.name
    while Path(name).suffix.lower() in PACKED:
        name = Path(name).stem
    return name


def _parquet_table(file: Path) -> "pa.Table":
    import pyarrow
    import pyarrow.compute
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.ParquetFile(file).read()
        table.validate(full=True)
    except (pyarrow.ArrowException, OSError) as error:
        raise TidemillError(f"{file} is not a whole Parquet file: {error}") from error
    for name in table.column_names:
        column = table[name]
        longest = pyarrow.compute.max(pyarrow.compute.utf8_length(column)).as_py() if _is_text(column.type) else 0
        if (longest or 0) > LONGEST_LINE:
            raise TidemillError(f"{file}: column {name!r} has a cell of {longest:,} characters: shorten or remove it")
    return table


def _is_text(kind: Any) -> bool:
    import pyarrow.types

    return bool(pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind))


def _next_line(text: IO[str], path: Path, encoding: str) -> str:
    try:
        return text.readline(LONGEST_LINE + 1)
    except UnicodeError as error:
        raise TidemillError(f"{path} is not {encoding}: {error}; {_remedy(path, encoding)}") from error


def _unpacked(path: Path) -> Any:
    match path.suffix.lower():
        case ".gz":
            return gzip.open(path)
        case ".bz2":
            return bz2.open(path)
        case ".xz":
            return lzma.open(path)
        case ".zst":
            return _zstandard(path)
        case ".zip":
            return _only_member(path)
    return path.open("rb")


def _zstandard(path: Path) -> Any:
    import pyarrow

    return pyarrow.CompressedInputStream(pyarrow.OSFile(str(path)), "zstd")


def _only_member(path: Path) -> IO[bytes]:
    archive = zipfile.ZipFile(path)
    members = [member for member in archive.namelist() if not member.endswith("/") and "__MACOSX" not in member]
    if len(members) != 1:
        raise TidemillError(
            f"{path} holds {len(members)} files, not one: unpack it, and name the folder as source.path"
        )
    try:
        return archive.open(members[0])
    except RuntimeError as error:  # what the library raises for a password
        raise TidemillError(f"{path} cannot be unpacked: {error}") from error


def _remedy(path: Path, encoding: str, binary: bool = False) -> str:
    content = list(pieces(path))
    likely = None if _mixed(content, encoding) else guessed_encoding(content)
    if likely and likely != encoding:
        return f"name its encoding in source.options.encoding, {likely!r} perhaps"
    if binary:
        return "it may be a spreadsheet or an archive: save it as text"
    return "it mixes encodings: bring the whole file into one"


def _mixed(content: Sequence[bytes], encoding: str) -> bool:
    """Whether some lines beyond ASCII are in the encoding, UTF-8, in which no other text is by chance."""
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


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
