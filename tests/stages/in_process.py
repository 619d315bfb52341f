"""Stages in the process of the tests, where the heavy libraries are loaded once."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

STAGES = ("ingest", "validate", "tokenize", "train", "evaluate")


def write_system(folder: Path, name: str, system: dict[str, Any]) -> None:
    """Write the params of one system."""
    with (folder / "params.yaml").open("w", encoding="utf-8") as stream:
        YAML().dump({"systems": {name: system}}, stream)


def run_stages(folder: Path, name: str, *stages: str, environment: dict[str, str] | None = None) -> Path:
    """Run stages of a system, those up to its evaluation if none is named; return the folder of its artifacts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["stage", name])
        for variable, value in (environment or {}).items():
            patch.setenv(variable, value)
        for stage in stages or STAGES:
            import_module(f"pipelines.{stage}").main()
    return folder / "artifacts" / name
