"""Run a stage and print, as JSON, what it read: blocks of its system's params, modules and other files of the project."""

import ast
import json
import runpy
import sys
from pathlib import Path
from typing import Any

from tidemill.core import params

PROJECT = Path.cwd()
blocks: set[str] = set()
files: set[str] = set()


class Recorded(dict[str, Any]):
    """The params of a system, which note each block that is read."""

    def __getitem__(self, block: str) -> Any:
        blocks.add(block)
        return super().__getitem__(block)

    def get(self, block: str, default: Any = None) -> Any:
        blocks.add(block)
        return super().get(block, default)

    def items(self) -> Any:
        return [(block, self[block]) for block in self]


def _note_file(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "open" or not isinstance(arguments[0], str) or "r" not in (arguments[1] or "r"):
        return
    path = Path(arguments[0])
    path = path if path.is_absolute() else PROJECT / path
    if path.is_relative_to(PROJECT) and path.suffix not in (".py", ".pyc"):
        files.add(str(path.relative_to(PROJECT)))


def _has_code(source: Path) -> bool:
    """Whether a module holds more than a docstring, which changes no result."""
    body = ast.parse(source.read_bytes()).body
    return any(not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in body)


if __name__ == "__main__":
    stage, *arguments = sys.argv[1:]
    read_system = params.read_system
    params.read_system = lambda name: Recorded(read_system(name))  # type: ignore[assignment]
    sys.addaudithook(_note_file)
    sys.argv = [stage, *arguments]
    sys.path.insert(0, str(PROJECT))
    runpy.run_module(f"pipelines.{stage}", run_name="__main__")
    sources = [Path(module.__file__) for module in list(sys.modules.values()) if getattr(module, "__file__", None)]
    own = [path for path in sources if path.is_relative_to(PROJECT) and not path.is_relative_to(PROJECT / ".venv")]
    modules = {str(path.relative_to(PROJECT)) for path in own if path.name != "trace_stage.py" and _has_code(path)}
    print(json.dumps({"params": sorted(blocks), "files": sorted(files), "modules": sorted(modules)}))
