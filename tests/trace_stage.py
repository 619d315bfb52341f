"""Run stages of a system, and print what each read as a line of JSON: blocks of params, modules and files of the project.

    python trace_stage.py SYSTEM STAGE...

Each stage runs in a process forked from this one, which has imported the heavy libraries once and nothing of the project.
"""

import ast
import importlib
import json
import os
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROJECT = Path.cwd()
HEAVY = (
    "great_expectations",
    "mlflow.pyfunc",
    "matplotlib.figure",
    "pandas",
    "pyarrow.parquet",
    "pytorch_lightning",
    "safetensors.torch",
    "sklearn.feature_extraction.text",
    "sklearn.linear_model",
    "tokenizers",
)
NATIVE = (("pyarrow.parquet", "ParquetFile"), ("safetensors.torch", "load_file"), ("tokenizers", "Tokenizer"))
"""What opens files outside of Python, where no audit hook sees it; of a class, its `from_file` or else its making."""
OWN = ("tidemill", "pipelines", "flows")


class Recorded(dict[str, Any]):
    """The params of a system, which note each block that is read."""

    def __init__(self, blocks: dict[str, Any], noted: set[str]) -> None:
        super().__init__(blocks)
        self.noted = noted

    def __getitem__(self, block: str) -> Any:
        self.noted.add(block)
        return super().__getitem__(block)

    def get(self, block: str, default: Any = None) -> Any:
        self.noted.add(block)
        return super().get(block, default)

    def items(self) -> Any:
        return [(block, self[block]) for block in self]


class Trace:
    """What a stage reads from now on."""

    def __init__(self) -> None:
        self.blocks: set[str] = set()
        self.files: set[str] = set()

    def begin(self) -> None:
        """Note what this process reads, to its end."""
        sys.addaudithook(self._on_event)
        for module_name, name in NATIVE:
            module = importlib.import_module(module_name)
            self._wrap(*((getattr(module, name), "from_file") if name == "Tokenizer" else (module, name)))
        from tidemill.core import params

        read_system = params.read_system
        params.read_system = lambda name: Recorded(read_system(name), self.blocks)  # type: ignore[assignment]

    def reading(self) -> dict[str, list[str]]:
        """Return what was noted, and the modules of the project that were imported."""
        sources = [Path(module.__file__) for module in list(sys.modules.values()) if getattr(module, "__file__", None)]
        own = [path for path in sources if path.is_relative_to(PROJECT) and not path.is_relative_to(PROJECT / ".venv")]
        modules = {str(path.relative_to(PROJECT)) for path in own if path != Path(__file__) and _has_code(path)}
        return {"params": sorted(self.blocks), "files": sorted(self.files), "modules": sorted(modules)}

    def _wrap(self, holder: Any, name: str) -> None:
        opens: Callable[..., Any] = getattr(holder, name)

        def noted(path: Any, *arguments: Any, **options: Any) -> Any:
            self._note(path)
            return opens(path, *arguments, **options)

        setattr(holder, name, noted)

    def _on_event(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and "r" in (arguments[1] or "r"):
            self._note(arguments[0])

    def _note(self, opened: Any) -> None:
        if not isinstance(opened, str | Path):
            return
        path = Path(opened) if Path(opened).is_absolute() else PROJECT / opened
        if path.is_relative_to(PROJECT) and path.suffix not in (".py", ".pyc"):
            self.files.add(str(path.relative_to(PROJECT)))


def _has_code(source: Path) -> bool:
    """Whether a module holds more than a docstring, which changes no result."""
    body = ast.parse(source.read_bytes()).body
    return any(not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in body)


def _run(stage: str, system: str) -> None:
    """Run a stage, and print its reading."""
    trace = Trace()
    trace.begin()
    sys.argv = [stage, system]
    runpy.run_module(f"pipelines.{stage}", run_name="__main__")
    print(json.dumps({"stage": stage, **trace.reading()}), flush=True)


def main() -> None:
    """Run the stages in their order; stop at one that fails."""
    system, *stages = sys.argv[1:]
    for name in HEAVY:
        importlib.import_module(name)
    assert not [name for name in sys.modules if name.partition(".")[0] in OWN], "the stages are to import the project"
    sys.path.insert(0, str(PROJECT))
    for stage in stages:
        sys.stdout.flush()
        if (child := os.fork()) == 0:
            _run(stage, system)
            sys.exit()
        _, status = os.waitpid(child, 0)
        if status:
            sys.exit(f"{stage}@{system} ended with {os.waitstatus_to_exitcode(status)}")


if __name__ == "__main__":
    main()
