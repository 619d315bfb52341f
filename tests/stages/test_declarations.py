"""What `dvc.yaml` declares is what a stage reads, in every stage of every shipped system: params, modules, files."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from dvc.repo import Repo

from tests.projects import Project
from tests.shipped import SHORTENED, STAGES, Reading, shipped_project, trace

NOT_AN_INPUT = (
    "params.yaml",
    ".tidemill",
    ".git",
    ".venv",
    "requirements",
    "dvc.lock",
    "dvc.yaml",
    "keys",
    "src/tidemill/py.typed",
)
"""Read, but no input of a stage's outputs: params are declared one by one; the rest is DVC's and git's own, the tracking
store, what lineage only records, and whose signatures count."""
ORDER_ONLY = "artifacts/params-checked"
"""Declared by ingest so that it waits for the check of all params; its content never changes."""
Declared = dict[str, set[str]]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, all_raw_data: Path) -> Project:
    return shipped_project(tmp_path_factory.mktemp("declared") / "project", all_raw_data)


@pytest.fixture(scope="module")
def readings(project: Project) -> dict[str, Reading]:
    """What each stage of each system read, by the stage's address."""
    project.run("python", "-m", "pipelines.check")
    return {f"{stage}@{system}": trace(project, stage, system) for system in SHORTENED for stage in STAGES}


@pytest.fixture(scope="module")
def declared(project: Project) -> dict[str, Declared]:
    """Dependencies and params of each stage, as DVC reads them."""
    with Repo(str(project.folder)) as repo:
        return {stage.name: _declared(stage) for stage in repo.index.stages}


def _declared(stage: Any) -> Declared:
    params = {param for dep in stage.deps for param in getattr(dep, "params", ())}
    return {"deps": {dep.def_path for dep in stage.deps if not hasattr(dep, "params")}, "params": params}


def covers(dependency: str, path: str) -> bool:
    return path == dependency or path.startswith(f"{dependency}/")


def test_every_param_a_stage_reads_is_declared_and_no_other(
    readings: dict[str, Reading], declared: dict[str, Declared]
) -> None:
    for address, reading in readings.items():
        system = address.partition("@")[2]
        names = {param.removeprefix(f"systems.{system}.") for param in declared[address]["params"]}
        assert names == set(reading["params"]) - {"sweep", "monitor"}, address


def test_every_module_a_stage_imports_is_declared(readings: dict[str, Reading], declared: dict[str, Declared]) -> None:
    undeclared = {
        address: [m for m in reading["modules"] if not any(covers(dep, m) for dep in declared[address]["deps"])]
        for address, reading in readings.items()
    }
    assert {address: modules for address, modules in undeclared.items() if modules} == {}


def test_every_file_a_stage_reads_is_declared(
    project: Project, readings: dict[str, Reading], declared: dict[str, Declared]
) -> None:
    for address, reading in readings.items():
        stage, _, system = address.partition("@")
        own = (f"artifacts/{system}/{stage}", f"artifacts/{system}/.{stage}.partial")
        code = ("src/tidemill",) if stage == "register" else ()  # its declared folders are copied into the version
        read = [path for path in reading["files"] if not path.startswith((*NOT_AN_INPUT, *own, *code))]
        deps = declared[address]["deps"] | _pinned(project, system)
        undeclared = [p for p in read if (project.folder / p).is_file() and not any(covers(dep, p) for dep in deps)]
        assert undeclared == [], address


def _pinned(project: Project, system: str) -> set[str]:
    """Folders of pinned files that the params name: their hash stands in the params, so a change of it is seen."""
    from tests.shipped import read_params

    blocks = read_params(project.folder)["systems"][system]
    pins = (blocks["model"].get("pretrained"), blocks["tokenize"].get("tokenizer"))
    return {pin["path"] for pin in pins if pin}


def test_nothing_is_declared_that_no_system_uses(readings: dict[str, Reading], declared: dict[str, Declared]) -> None:
    for stage in STAGES:
        used = {system: readings[f"{stage}@{system}"] for system in SHORTENED}
        by_system = {system: declared[f"{stage}@{system}"]["deps"] for system in SHORTENED}
        idle = {
            system: {
                dep
                for dep in deps
                if dep != ORDER_ONLY
                and not any(covers(dep, path) for part in ("modules", "files") for path in used[system][part])
            }
            for system, deps in by_system.items()
        }
        assert set.intersection(*idle.values()) == set(), stage
        assert {dep for deps in idle.values() for dep in deps if not _shared_code(dep)} == set(), stage


def _shared_code(dependency: str) -> bool:
    """Code that not every system needs: one whose network has no attention imports nothing of `models/common` for it."""
    return dependency.startswith("src/tidemill/")


def test_every_declared_dependency_is_there(
    project: Project, readings: dict[str, Reading], declared: dict[str, Declared]
) -> None:
    assert readings
    missing = {dep for entry in declared.values() for dep in entry["deps"] if not (project.folder / dep).exists()}
    assert missing == set()
    shutil.rmtree(project.folder / "artifacts")
