"""Disturbances from outside a process: a disk that is full or read-only, another clock, a connection that fails."""

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

FILLER = "filler"
LIBFAKETIME = ("/usr/lib/*/faketime/libfaketime.so.1", "/usr/lib/faketime/libfaketime.so.1")


class Disk:
    """A small file system of its own, which can be full."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def full(self, free: int) -> Iterator[None]:
        """Leave so many bytes free."""
        state = os.statvfs(self.folder)
        with (self.folder / FILLER).open("wb") as filler:
            os.posix_fallocate(filler.fileno(), 0, max(1, state.f_bavail * state.f_frsize - free))
        try:
            yield
        finally:
            (self.folder / FILLER).unlink()


def flip(path: Path, place: float) -> None:
    """Flip the bits of one byte, at this part of the file."""
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 0xFF
    path.chmod(0o644)
    path.unlink()  # DVC's cache may hold the same file
    path.write_bytes(content)


@contextmanager
def mounted(folder: Path, megabytes: int) -> Iterator[Disk]:
    """Mount a disk in memory; where that is not allowed, the tests that need it are skipped."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("a file system of a few megabytes needs the right to mount one")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def quota(size: int) -> list[str]:
    """Return what stands before a command so that no file of it grows beyond so many bytes."""
    if shutil.which("prlimit") is None:
        pytest.skip("`prlimit` of util-linux is not installed here")
    return ["prlimit", f"--fsize={size}"]


def read_only(folder: Path) -> list[str]:
    """Return what stands before a command so that a folder, which it runs in, is read-only for it alone."""
    script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && cd "$0" && exec "$@"'
    before = ["unshare", "--mount", "sh", "-c", script, str(folder)]
    if subprocess.run([*before, "true"], capture_output=True).returncode != 0:
        pytest.skip("a read-only folder needs the right to mount one")
    return before


def other_clock(shift: str) -> dict[str, str]:
    """Return the environment of a process whose clock is shifted, as `-2d`."""
    found = [path for pattern in LIBFAKETIME for path in Path("/").glob(pattern.lstrip("/"))]
    if not found:
        pytest.skip("libfaketime is not installed here: `apt-get install libfaketime`")
    return {"LD_PRELOAD": str(found[0]), "FAKETIME": shift, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


class Wire:
    """A connection to a server that can be slow, cut in the middle of what is sent, or lost.

    Clients connect to `port`.
    """

    def __init__(self, server: int) -> None:
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.delay = 0.0
        """Seconds that each piece waits."""
        self._left: int | None = None
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_after(self, sent: int) -> None:
        """Cut all connections when clients have sent so many bytes more; then none gets through until it is mended."""
        self._left = sent

    def mend(self) -> None:
        """Let everything through again, at once."""
        self._left, self.delay = None, 0.0

    def close(self) -> None:
        """Cut all connections, and take no more."""
        self._listener.close()
        self._cut()

    def _cut(self) -> None:
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self._left is not None and self._left <= 0:
                    client.close()
                    continue
                try:
                    server = socket.create_connection(("127.0.0.1", self._server))
                except OSError:
                    client.close()
                    continue
                self._open |= {client, server}
                threading.Thread(target=self._pass, args=(client, server, True), daemon=True).start()
                threading.Thread(target=self._pass, args=(server, client, False), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        with suppress(OSError):
            while data := source.recv(4096):
                time.sleep(self.delay)
                if counted and self._left is not None:
                    self._left -= len(data)
                    if self._left <= 0:
                        self._cut()
                        break
                target.sendall(data)
        for connection in (source, target):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
            self._open.discard(connection)
