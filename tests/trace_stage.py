"""Run stages of a system, and print what each read as a line of JSON: blocks of params, modules and files of the project.

    python trace_stage.py SYSTEM STAGE...

Each stage runs in a process forked from this one, which has imported the heavy libraries once and nothing of the project.
The step `champion` is no stage: it makes version 1 the champion, an older one, whose run is on no server any more.
So a `register` after it does all that a `register` can do.
"""

import ast
import importlib.util
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
CHAMPION = "champion"
STORE = ".tidemill"
"""What is there is an output, or a copy of one: checkpoints, the tracking store, the signing key."""


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
        self.files: set[Path] = set()

    def begin(self) -> None:
        """Note what this process reads, to its end."""
        sys.addaudithook(self._on_event)
        for module_name, name in NATIVE:
            module = importlib.import_module(module_name)
            self._wrap(*((getattr(module, name), "from_file") if name == "Tokenizer" else (module, name)))
        from tidemill.core import params

        read_system = params.read_system

        def recorded(name: str, path: Path = params.PARAMS_FILE) -> dict[str, Any]:
            return Recorded(read_system(name, path), self.blocks)

        params.read_system = recorded

    def reading(self) -> dict[str, list[str]]:
        """Return what was noted; modules of the project are those that were imported, and those read as files."""
        named = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
        imported = {Path(name) for name in named if name} - {Path(__file__)}
        imported = {path.relative_to(PROJECT) for path in imported if path.is_relative_to(PROJECT)}
        code = imported | {_source(path) for path in self.files if path.suffix in (".py", ".pyc")}
        sources = {path for path in code if _has_code(PROJECT / path)}
        read = {path for path in self.files if path.suffix not in (".py", ".pyc")}
        found = {"params": self.blocks, "files": map(str, read), "modules": map(str, sources)}
        return {name: sorted(values) for name, values in found.items()}

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
        path = PROJECT / opened
        if path.is_relative_to(PROJECT) and not path.is_relative_to(PROJECT / STORE):
            self.files.add(path.relative_to(PROJECT))


def _source(code: Path) -> Path:
    """Return the module that a file of code holds, compiled or not."""
    return Path(importlib.util.source_from_cache(str(code))) if code.suffix == ".pyc" else code


def _has_code(source: Path) -> bool:
    """Whether a module holds more than a docstring and the version, which change no result."""
    body = ast.parse(source.read_bytes()).body if source.is_file() else []
    return any(not isinstance(node, ast.Expr) and not ast.unparse(node).startswith("__version__ =") for node in body)


def _run(stage: str, system: str) -> None:
    """Run a stage, and print its reading."""
    trace = Trace()
    trace.begin()
    sys.argv = [stage, system]
    runpy.run_module(f"pipelines.{stage}", run_name="__main__")
    print(json.dumps({"stage": stage, **trace.reading()}), flush=True)


def _make_champion(system: str) -> None:
    """Make version 1 the champion, as one of before whole versions were signed: its stored predictions do not count."""
    from tests.unit.registry.proposals import crown, stored
    from tidemill.registry.content import SIGNATURE
    from tidemill.tracking import store, tags

    client = store.connect()
    (stored(PROJECT, system, "1") / SIGNATURE).unlink()
    client.delete_model_version_tag(system, "1", tags.STATEMENT)
    crown(system, "1")
    client.delete_run(str(client.get_model_version(system, "1").run_id))


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
            _make_champion(system) if stage == CHAMPION else _run(stage, system)
            sys.exit()
        _, status = os.waitpid(child, 0)
        if status:
            sys.exit(f"{stage}@{system} ended with {os.waitstatus_to_exitcode(status)}")


if __name__ == "__main__":
    main()
