"""Freed memory is used again: a second large tensor costs no fresh pages."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import ctypes, resource, sys
from tidemill.training import memory

def touch():
    block = ctypes.create_string_buffer(64 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

if sys.argv[1] == "keep":
    memory.keep_freed()
touch()
print(-touch() + touch())
"""


def fresh_pages(mode: str) -> int:
    done = subprocess.run([sys.executable, "-c", FAULTS, mode], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc lets a process keep what it has freed")
def test_a_large_block_takes_the_pages_of_the_one_before() -> None:
    pages = (64 << 20) // 4096
    assert fresh_pages("default") > pages * 0.9
    assert fresh_pages("keep") < pages * 0.1
