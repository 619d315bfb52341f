"""What `dvc.yaml` declares is what a stage reads: every param, every module, every file."""

import json
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.projects import DIGITS, REVIEWS, Project, write_digits, write_reviews

STAGES = ("ingest", "validate", "tokenize", "train", "evaluate", "register")
SYSTEMS = {"digits": DIGITS, "reviews": REVIEWS}
UNDECLARED = ("params.yaml", ".tidemill", ".git", "requirements", "dvc.lock", "dvc.yaml", "raw", "keys")
"""Read, but not as an input: DVC's own files, the tracking store, what lineage only records, and whose signatures
count, which changes nothing of what is signed and is made by the first version that is registered."""
CARRIED_ALONG = ("src/tidemill",)
"""The registry copies the house's code into each version, so that it loads where Tidemill is not installed."""

Reading = dict[str, list[str]]


@pytest.fixture(scope="module", params=SYSTEMS)
def traced(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Project, str, dict[str, Reading]]:
    """A project of one system, and what each of its stages read."""
    system: str = request.param
    project = Project(tmp_path_factory.mktemp("traced") / "project")
    {"digits": write_digits, "reviews": write_reviews}[system](project.folder / "raw" / system)
    project.params(**{system: SYSTEMS[system]})
    project.commit()
    script = str(Path(__file__).with_name("trace_stage.py"))
    project.environment["PYTHONPATH"] += f":{project.folder}"
    return (
        project,
        system,
        {stage: json.loads(project.run("python", script, stage, system).splitlines()[-1]) for stage in STAGES},
    )


def declared(project: Project, stage: str, system: str) -> dict[str, Any]:
    """The stage's entry in `dvc.yaml`, its templates filled in by DVC's own rules for this one system."""
    text = json.dumps(YAML(typ="safe").load(project.folder / "dvc.yaml")["stages"][stage]["do"])
    item = SYSTEMS[system]
    values = {"key": system, "item.task": item["task"], "item.model.name": item["model"]["name"]}
    values |= {f"item.source.{name}": item["source"][name] for name in ("path", "format")}
    for name, value in values.items():
        text = text.replace(f"${{{name}}}", value)
    assert "${" not in text
    entry: dict[str, Any] = json.loads(text)
    return entry


def covered(path: str, dependencies: list[str]) -> bool:
    return any(path == dependency or path.startswith(f"{dependency}/") for dependency in dependencies)


@pytest.mark.parametrize("stage", STAGES)
def test_every_param_a_stage_reads_is_declared(traced: tuple[Project, str, dict[str, Reading]], stage: str) -> None:
    project, system, readings = traced
    names = [param.removeprefix(f"systems.{system}") for param in declared(project, stage, system)["params"]]
    if names != [""]:
        assert {name.removeprefix(".") for name in names} == set(readings[stage]["params"])


@pytest.mark.parametrize("stage", STAGES)
def test_every_module_a_stage_imports_is_a_dependency(
    traced: tuple[Project, str, dict[str, Reading]], stage: str
) -> None:
    project, system, readings = traced
    dependencies = declared(project, stage, system)["deps"]
    assert [module for module in readings[stage]["modules"] if not covered(module, dependencies)] == []
    assert [path for path in dependencies if not (project.folder / path).exists()] == []


@pytest.mark.parametrize("stage", STAGES)
def test_every_file_a_stage_reads_is_a_dependency(traced: tuple[Project, str, dict[str, Reading]], stage: str) -> None:
    project, system, readings = traced
    entry = declared(project, stage, system)
    own = f"artifacts/{system}/{stage}"
    allowed = (
        *UNDECLARED,
        own,
        f"artifacts/{system}/.{stage}.partial",
        *(CARRIED_ALONG if stage == "register" else ()),
    )
    read = [
        path for path in readings[stage]["files"] if not path.startswith(allowed) and (project.folder / path).is_file()
    ]
    assert [path for path in read if not covered(path, entry["deps"])] == []
