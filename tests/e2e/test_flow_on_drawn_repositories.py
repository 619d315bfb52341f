"""The flow beside a serial `dvc repro` on repositories drawn at random: the same records, the same files, the same status.

A few are part of every run; `pytest tests/e2e/test_flow_on_drawn_repositories.py --drawn 200` takes more.
"""

import subprocess
from pathlib import Path

import pytest

from tests.dvc_repositories import DVC, DvcRepository, quiet_environment
from tests.generated_repositories import Drawn

OWN = (".git", ".dvc", "__pycache__")
"""Folders that hold what differs by its nature: times, process ids, links to the cache."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    metafunc.parametrize("number", range(metafunc.config.getoption("drawn")))


def test_a_drawn_repository(number: int, tmp_path: Path) -> None:
    drawn = Drawn(number)
    pair = [made(drawn, tmp_path / name) for name in ("parallel", "serial")]
    for step in range(3):
        for each in pair:
            if step:
                drawn.change(each, (number + step) % 3)
        parallel, serial = pair[0].flow("--jobs", "3", "--keep-going"), repro(pair[1])
        assert (parallel.returncode == 0) == (serial.returncode == 0), parallel.stdout + serial.stdout
        if serial.returncode:  # DVC then takes its lines in .gitignore back, also those of the stages that went through
            found = [{p: c for p, c in content(each.folder).items() if Path(p).name != ".gitignore"} for each in pair]
            assert found[0] == found[1], parallel.stdout
            return
        assert content(pair[0].folder) == content(pair[1].folder), parallel.stdout
    status = [each.command(str(DVC), "status", "--json") for each in pair]
    assert status[0] == status[1]


def made(drawn: Drawn, folder: Path) -> DvcRepository:
    # DVC collects the stages of several files in a set: of two serial runs, too, each has an order of its own
    environment = quiet_environment(folder) | {"DVC_SITE_CACHE_DIR": str(folder / "site"), "PYTHONHASHSEED": "0"}
    repository = DvcRepository(folder / "repository", environment, drawn.git, drawn.below)
    drawn.make(repository)
    return repository


def repro(repository: DvcRepository) -> subprocess.CompletedProcess[str]:
    command = [str(DVC), "repro", "--keep-going"]
    return subprocess.run(
        command, cwd=repository.folder, env=repository.environment, capture_output=True, text=True, check=False
    )


def content(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder that is the repository's: its records, what its stages made."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not set(OWN) & set(path.relative_to(folder).parts)
    }
