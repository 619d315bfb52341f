"""What `dvc.yaml` declares is what a stage reads, in every stage of every shipped system: params, modules, files."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from dvc.repo import Repo

from tests.projects import Project
from tests.shipped import SHORTENED, STAGES, Reading, read_params, shipped_project, trace

NOT_AN_INPUT = ("params.yaml", ".git", "requirements", "dvc.lock", "dvc.yaml", "keys")
"""Read, but no input of a stage's outputs: params are declared one by one; the rest is DVC's and git's own, what lineage
only records, and whose signatures count."""
ORDER_ONLY = {"ingest": "artifacts/params-checked", "tokenize": "artifacts/{system}/validate/validation.json"}
"""Declared, but not read: ingest waits for the check of all params, and no row is packed that was not validated."""
AT_ONCE = 2
"""Systems whose stages run at the same time."""
Declared = dict[str, set[str]]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]  # it runs 36 stages


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, all_raw_data: Path) -> Project:
    return shipped_project(tmp_path_factory.mktemp("declared") / "project", all_raw_data)


@pytest.fixture(scope="module")
def readings(project: Project) -> dict[str, Reading]:
    """What each stage of each system read, by the stage's address."""
    project.run("python", "-m", "pipelines.check")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(lambda system: trace(project, system), SHORTENED))
    readings = {address: reading for of_system in found for address, reading in of_system.items()}
    assert readings.keys() == {f"{stage}@{system}" for stage in STAGES for system in SHORTENED}
    return readings


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
        read = [path for path in reading["files"] if not path.startswith((*NOT_AN_INPUT, *own))]
        deps = declared[address]["deps"] | _pinned(project, system)
        undeclared = [p for p in read if (project.folder / p).is_file() and not any(covers(dep, p) for dep in deps)]
        assert undeclared == [], address


def _pinned(project: Project, system: str) -> set[str]:
    """Folders of pinned files that the params name: their hash stands in the params, so a change of it is seen."""
    blocks = read_params(project.folder)["systems"][system]
    pins = [blocks["model"].get(name) for name in ("pretrained", "checkpoint")]
    pins += [blocks["tokenize"].get(name) for name in ("tokenizer", "preprocessor")]
    return {pin["path"] for pin in pins if pin}


def test_nothing_is_declared_that_is_not_read(readings: dict[str, Reading], declared: dict[str, Declared]) -> None:
    """Data must be read in every system; code that systems share, in one of them at least."""
    for stage in STAGES:
        idle: dict[str, set[str]] = {}
        for system in SHORTENED:
            reading, waits_for = readings[f"{stage}@{system}"], ORDER_ONLY.get(stage, "").format(system=system)
            read = reading["modules"] + reading["files"]
            deps = declared[f"{stage}@{system}"]["deps"] - {waits_for}
            idle[system] = {dep for dep in deps if not any(covers(dep, path) for path in read)}
        in_all = set[str].intersection(*idle.values())
        assert in_all == set(), stage
        own = {dep for deps in idle.values() for dep in deps if not dep.startswith("src/tidemill/")}
        assert own == set(), stage
        for system, deps in idle.items():
            assert {dep for dep in deps if dep in _named_by(declared, stage, system)} == set(), stage


def _named_by(declared: dict[str, Declared], stage: str, system: str) -> set[str]:
    """Code that one system depends on and another does not: that of its format, model and task."""
    shared = set[str].intersection(*(declared[f"{stage}@{other}"]["deps"] for other in SHORTENED))
    return declared[f"{stage}@{system}"]["deps"] - shared


def test_every_declared_dependency_is_there(
    project: Project, readings: dict[str, Reading], declared: dict[str, Declared]
) -> None:
    assert readings, "the stages have made what those after them declare"
    missing = {dep for entry in declared.values() for dep in entry["deps"] if not (project.folder / dep).exists()}
    assert missing == set()
