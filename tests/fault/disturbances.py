"""Disturbances from outside a process: another clock, a byte that has flipped."""

from pathlib import Path

import pytest

LIBFAKETIME = ("/usr/lib/*/faketime/libfaketime.so.1", "/usr/lib/faketime/libfaketime.so.1")


def flip(path: Path, place: float) -> None:
    """Flip the bits of one byte, at this part of the file."""
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 0xFF
    path.write_bytes(content)


def other_clock(shift: str) -> dict[str, str]:
    """Return the environment of a process whose clock is shifted, as `-2d`."""
    found = [path for pattern in LIBFAKETIME for path in Path("/").glob(pattern.lstrip("/"))]
    if not found:
        pytest.skip("libfaketime is not installed here: `apt-get install libfaketime`")
    return {"LD_PRELOAD": str(found[0]), "FAKETIME": shift, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
