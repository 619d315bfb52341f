"""Whether a Prefect server is named, found without importing Prefect where none can be."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows import settings
from tests.projects import ROOT


@pytest.fixture(autouse=True)
def _nothing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (settings.SERVER, settings.RUNNER, "PREFECT_PROFILES_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def test_none_where_nothing_speaks_of_one(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\ndependencies = ['prefect']\n")
    assert not settings.names_a_server()


@pytest.mark.parametrize(("address", "named"), [("http://127.0.0.1:4200/api", True), ("", False)])
def test_the_environment_decides(monkeypatch: pytest.MonkeyPatch, address: str, named: bool) -> None:
    monkeypatch.setenv(settings.SERVER, address)
    assert settings.names_a_server() is named


def test_a_task_runner_needs_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.SERVER, "")
    monkeypatch.setenv(settings.RUNNER, "prefect_dask.DaskTaskRunner")
    assert settings.names_a_server()


def test_a_profile_is_asked_of_prefect(tmp_path: Path) -> None:
    profile = '[profiles.team]\nPREFECT_API_URL = "https://prefect.example.org/api"\n'
    (tmp_path / "profiles.toml").write_text('active = "team"\n\n' + profile)
    code = "from flows.settings import names_a_server; print(names_a_server())"
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True)
    assert done.stdout == b"True\n", done.stderr
