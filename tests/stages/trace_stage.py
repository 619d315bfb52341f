"""Run a stage and print, as JSON, what it read: params of its system, modules and other files of the project."""

import json
import runpy
import sys
from pathlib import Path
from typing import Any

from tidemill import config

PROJECT = Path.cwd()
params: set[str] = set()
files: set[str] = set()


def _note_file(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "open" or not isinstance(arguments[0], str) or "r" not in (arguments[1] or "r"):
        return
    path = Path(arguments[0])
    path = path if path.is_absolute() else PROJECT / path
    if path.is_relative_to(PROJECT) and path.suffix not in (".py", ".pyc"):
        files.add(str(path.relative_to(PROJECT)))


def _traced(system: config.System) -> config.System:
    plain = config.System.__getattribute__

    def getattribute(self: config.System, name: str) -> Any:
        field = config.System.model_fields.get(name)
        if field:
            params.add(field.alias or name)
        return plain(self, name)

    config.System.__getattribute__ = getattribute  # type: ignore[method-assign]
    return system


stage, name = sys.argv[1:]
load = config.load_system
config.load_system = lambda system: _traced(load(system))
sys.addaudithook(_note_file)
sys.argv = [stage, name]
runpy.run_module(f"pipelines.{stage}", run_name="__main__")
sources = [Path(module.__file__) for module in list(sys.modules.values()) if getattr(module, "__file__", None)]
modules = {str(path.relative_to(PROJECT)) for path in sources if path.is_relative_to(PROJECT)}
print(json.dumps({"params": sorted(params), "files": sorted(files), "modules": sorted(modules)}))
