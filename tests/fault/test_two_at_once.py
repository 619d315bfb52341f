"""Two of the same at once: one does it, the other finds it done. Of promotions twenty are tried, of flows eight."""

import shutil
from pathlib import Path

import pytest

from tests.fault.acts import REGISTRATION


def test_two_registrations(evaluated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shutil.copytree(evaluated, tmp_path / "project"))
    both = [REGISTRATION.start() for _ in range(2)]
    for process in both:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    REGISTRATION.succeed()
