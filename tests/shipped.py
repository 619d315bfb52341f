"""The project as it ships, all six systems on their real data, shortened by params alone."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.projects import ROOT, Project

STAGES = ("ingest", "validate", "tokenize", "train", "evaluate", "register")
TRACER = Path(__file__).with_name("trace_stage.py")
SMALL = {"tokenize.vocabulary": 512, "model.width": 32, "model.heads": 2, "model.layers": 1}
WINDOWS = {"tokenize.length": 128, "tokenize.question": 16, "tokenize.overlap": 16}
SHORTENED: dict[str, dict[str, Any]] = {
    "digits": {"source.options.splits": {"train": "t10k"}, "ingest.test": 0.05, "training.epochs": 1},
    "sentiment": {"ingest.valid": 0.8, "ingest.test": 0.05, "model.strengths": [1.0]},
    "photos": {"ingest.valid": 0.6, "ingest.test": 0.1, "tokenize.size": [32, 32], "training.epochs": 1},
    "assistant": {"source.options.limit": 160, "ingest.valid": 0.3, **WINDOWS},
    "stories": {"ingest.valid": 0.7, "ingest.test": 0.05, "training.epochs": 1, "training.batch": 64, **SMALL},
    "poems": {"source.options.files": "poet.tang.1000.json", "training.epochs": 1, "training.batch": 64, **SMALL},
}
"""By system, other values of params that make it quick; no gate is kept, for so short a training passes none."""

Reading = dict[str, list[str]]
"""What a stage read: blocks of its system's `params`, `modules` and further `files` of the project."""


def shipped_project(folder: Path, data: Path | None = None) -> Project:
    """The tracked files in a repository of their own, with shortened params.

    Args:
        data: the fetched raw data, which is linked and not copied; without it, `data.dvc`, `dvc.lock` and DVC's settings
            are there as in a fresh clone, and the data is still to be fetched.
    """
    project = Project(folder)
    left_out = () if data is None else ("dvc.lock", "data.dvc", ".dvc/config")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file() and name not in left_out:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    if data is not None:
        (folder / "data").symlink_to(data, target_is_directory=True)
    write_params(folder / "params.yaml", shortened(read_params(folder)))
    project.commit()
    return project


def read_params(folder: Path) -> Any:
    return YAML(typ="safe").load(folder / "params.yaml")


def shortened(params: Any) -> Any:
    """The params of the project with those of `SHORTENED`, no gate but one that any passes, and few bootstrap resamples."""
    for name, values in SHORTENED.items():
        system = params["systems"][name]
        for path, value in {
            **values,
            "evaluate.resamples": 100,
            "gates": {"latency_ms": 60_000.0, "baseline": None},
        }.items():
            *blocks, last = path.split(".")
            block = system
            for part in blocks:
                block = block.setdefault(part, {})
            block[last] = value
    return params


def write_params(path: Path, params: Any) -> None:
    with path.open("w", encoding="utf-8") as stream:
        YAML().dump(params, stream)


def trace(project: Project, system: str) -> dict[str, Reading]:
    """Run all stages of a system by themselves, and return what each read, by its address.

    It is registered twice, without and with a champion to compare it with.
    """
    printed = project.run("python", str(TRACER), system, *STAGES, "champion", "register")
    found: dict[str, Reading] = {}
    for line in printed.splitlines():
        if line.startswith('{"stage": '):
            read: dict[str, Any] = json.loads(line)
            reading = found.setdefault(f"{read.pop('stage')}@{system}", {})
            for kind, names in read.items():
                reading[kind] = sorted({*reading.get(kind, []), *names})
    return found
