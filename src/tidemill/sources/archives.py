"""Extracting named files from an archive: tar (plain, gz, bz2, xz), zip and wheel, deb.

Only regular files are extracted, to paths that we choose: no path, link or device of the archive reaches the disk.
"""

import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import IO

from tidemill.core.errors import TidemillError
from tidemill.core.unpacking import Bounded, TooLarge

CHUNK = 1 << 20
AR_MAGIC = b"!<arch>\n"
AR_HEADER_BYTES = 60


def extract(archive: Path, targets: Mapping[str, Path], label: str) -> None:
    """Stream the members named by `targets` (path in the archive → file) to their files, and no others.

    Raises:
        TidemillError: a member is missing, is not a regular file, has a path that leads out of the archive or unpacks to
            far more than the archive has; or the file is no archive, truncated or damaged.
        OSError: a target cannot be written.
    """
    for path in targets:
        _refuse_escape(path, label)
    missing, packed = dict(targets), archive.stat().st_size
    try:
        for path, stream in _members(archive, set(targets), label):
            target = missing.pop(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            with Bounded(stream, packed) as content, target.open("wb") as file:
                shutil.copyfileobj(content, file, CHUNK)
            if not missing:
                return
    except (
        tarfile.TarError,
        zipfile.BadZipFile,
        LZMAError,
        zlib.error,
        EOFError,
        NotImplementedError,
    ) as error:
        raise _damaged(label, error) from error
    except TooLarge as error:
        raise TidemillError(f"{label}: member {path!r} of the archive is refused: {error}") from error
    except OSError as error:
        if error.errno is None:  # raised by gzip and bz2 for bytes that are not theirs
            raise _damaged(label, error) from error
        raise
    raise TidemillError(f"{label}: the archive has no member {', '.join(map(repr, missing))}")


def _members(archive: Path, wanted: set[str], label: str) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield the wanted members in the order of the archive, each open for reading until the next one is requested."""
    if zipfile.is_zipfile(archive):
        yield from _zip_members(archive, wanted, label)
        return
    with archive.open("rb") as file:
        if file.read(len(AR_MAGIC)) == AR_MAGIC:
            _seek_deb_data(file, label)
        else:
            file.seek(0)
        yield from _tar_members(file, wanted, label)


def _tar_members(file: IO[bytes], wanted: set[str], label: str) -> Iterator[tuple[str, IO[bytes]]]:
    with tarfile.open(fileobj=file, mode="r:*") as tar:
        for entry in tar:
            path = entry.name.removeprefix("./")
            if path not in wanted:
                continue
            stream = tar.extractfile(entry) if entry.isreg() else None
            if stream is None:
                raise _not_regular(label, path)
            yield path, stream


def _zip_members(archive: Path, wanted: set[str], label: str) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(archive) as zipped:
        for entry in zipped.infolist():
            if entry.filename not in wanted:
                continue
            kind = stat.S_IFMT(entry.external_attr >> 16)  # 0 where the archive was not made on Unix
            if entry.is_dir() or kind not in (0, stat.S_IFREG):
                raise _not_regular(label, entry.filename)
            if entry.flag_bits & 1:
                raise TidemillError(f"{label}: member {entry.filename!r} is encrypted: choose another archive")
            yield entry.filename, zipped.open(entry)


def _seek_deb_data(file: IO[bytes], label: str) -> None:
    """Move to the tar of files in a Debian package: deb(5), an ar archive whose last entry is data.tar.*"""
    while len(header := file.read(AR_HEADER_BYTES)) == AR_HEADER_BYTES and header[48:58].strip().isdigit():
        name = header[:16].decode("ascii", "replace").rstrip(" /")
        if name == "data.tar.zst":
            raise TidemillError(f"{label}: the package is compressed with zstd, which is not supported")
        if name.startswith("data.tar"):
            return
        size = int(header[48:58])
        file.seek(size + size % 2, 1)
    raise TidemillError(f"{label}: the archive is truncated or not a Debian package: it holds no data.tar")


def _refuse_escape(path: str, label: str) -> None:
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise TidemillError(f"{label}: member {path!r} leads out of the archive, which is refused")


def _not_regular(label: str, path: str) -> TidemillError:
    return TidemillError(f"{label}: member {path!r} is a link, folder or device, which is refused: name a file")


def _damaged(label: str, error: Exception) -> TidemillError:
    reason = str(error).partition("\n")[0].rstrip(":")  # tarfile adds a line for each compression that it tried
    return TidemillError(f"{label}: the archive is truncated, damaged or of an unknown kind: {reason}")
