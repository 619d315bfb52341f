"""Downloads over a connection that may break: each resumes where an earlier one stopped."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHUNK = 1 << 20
TRIES = 5
SECONDS_WITHOUT_A_BYTE = 60
LARGEST = 2**36
"""Bytes of a file whose size is not pinned; a server that never ends would fill the disk."""


class Unavailable(Exception):
    """An address does not provide its file; the next one may."""


class TooLarge(Unavailable):
    """An address provides more than the file can have."""


@dataclass(frozen=True)
class Stream:
    """The bytes of a file from `start` on; `size` is that of the whole file in bytes, if the server gives it."""

    start: int
    size: int | None
    chunks: Iterator[bytes]


Opener = Callable[[int], AbstractContextManager[Stream]]
"""Opens a file from a byte on. A server that cannot do so starts at 0; `Stream.start` says where it did."""


def download(opener: Opener, part: Path, label: str, size: int | None = None, tries: int = TRIES) -> None:
    """Complete `part` with the bytes of the file that it lacks; it may have `size`.

    A broken connection is opened again as long as each try yields bytes; these stay in `part`.

    Raises:
        Unavailable: the address provides nothing, nothing more, or more than the size; then `part` is removed.
        OSError: `part` cannot be written, e.g. the disk is full; it is removed.
    """
    for attempt in range(1, tries + 1):
        before = _size(part)
        try:
            return _append(opener, part, label, LARGEST if size is None else size)
        except TooLarge:
            part.unlink(missing_ok=True)
            raise
        except Unavailable:
            if attempt == tries or _size(part) <= before:
                raise
        except OSError:
            part.unlink(missing_ok=True)
            raise


def _append(opener: Opener, part: Path, label: str, most: int) -> None:
    from tqdm import tqdm

    with opener(_size(part)) as stream, part.open("ab") as file:
        file.truncate(stream.start)
        if (stream.size or 0) > most:
            raise TooLarge(f"the server offers {stream.size:,} bytes, and it may be {most:,}")
        quiet = True if os.environ.get("CI") else None  # None: quiet where the output is not a terminal
        with tqdm(
            total=stream.size,
            initial=stream.start,
            desc=label,
            unit="B",
            unit_scale=True,
            disable=quiet,
        ) as progress:
            for chunk in stream.chunks:
                if file.tell() + len(chunk) > most:
                    raise TooLarge(f"the server sends more than {most:,} bytes")
                file.write(chunk)
                progress.update(len(chunk))
        if stream.size is not None and file.tell() < stream.size:
            raise Unavailable(f"the connection ended after {file.tell()} of {stream.size} bytes")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@contextmanager
def open_http(url: str, client: Any, offset: int) -> Iterator[Stream]:
    """Open a web address with an `httpx2.Client`, which takes proxy and certificates from the environment."""
    import httpx2

    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={offset}-"} if offset else {})
    try:
        with client.stream(
            "GET",
            url,
            headers=headers,
            follow_redirects=True,
            timeout=SECONDS_WITHOUT_A_BYTE,
        ) as response:
            yield _http_stream(response, offset)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise Unavailable(str(error) or type(error).__name__) from error


def _http_stream(response: Any, offset: int) -> Stream:
    if response.status_code == 416:  # nothing after `offset`: the file is complete, and its hash will prove it
        return Stream(offset, offset, iter(()))
    if response.is_error:
        raise Unavailable(f"the server responds {response.status_code} {response.reason_phrase}")
    start = offset if response.status_code == 206 else 0
    length = response.headers.get("Content-Length")
    return Stream(
        start, start + int(length) if length else None, response.iter_raw()
    )  # no chunk size: keep what arrives before a break


@contextmanager
def open_filesystem(address: str, offset: int) -> Iterator[Stream]:
    """Open an address on a filesystem that fsspec supports, e.g. S3."""
    import fsspec

    with _any_error():
        filesystem, path = fsspec.url_to_fs(address)
        size = filesystem.size(path)
        file = filesystem.open(path, "rb")
    with file:
        yield Stream(offset, size, _chunks(file, offset))


def _chunks(file: Any, offset: int) -> Iterator[bytes]:
    with _any_error():
        file.seek(offset)
        yield from iter(lambda: file.read(CHUNK), b"")


@contextmanager
def _any_error() -> Iterator[None]:
    """Turn any error into `Unavailable`: the filesystems of fsspec have errors of their own, without a common base."""
    try:
        yield
    except Exception as error:
        raise Unavailable(f"{type(error).__name__}: {error}") from error
