"""What the flows use of DVC's inside: where a new version has changed it, the test that fails says which part."""

import ast
import hashlib
import inspect
from pathlib import Path
from typing import Any

import pytest
from dvc.repo import reproduce
from dvc.stage import cache, decorators
from scmrepo.git import Git

from flows import dvc_internals as used

ROOT = Path(__file__).parents[3]
CALLED = {
    "lock_repo": (used.lock_repo, "repo"),
    "get_active_graph": (used.get_active_graph, "graph"),
    "plan_repro": (used.plan_repro, "graph stages pipeline downstream"),
    "reproduce_stage": (used.reproduce_stage, "stage kwargs"),
    "to_lockfile": (used.to_lockfile, "stage kwargs"),
    "dumps_yaml": (used.dumps_yaml, "d"),
    "loads_yaml": (used.loads_yaml, "s typ"),
    "Repo.find_root": (used.Repo.find_root, "root fs"),
    "Repo.close": (used.Repo.close, "self"),
    "Lock._do_lock": (used.Lock._do_lock, "self"),
    "StageLoader.fill_from_lock": (used.StageLoader.fill_from_lock, "stage lock_data"),
    "PipelineStage.reload": (used.PipelineStage.reload, "self"),
    "PipelineStage.status": (used.PipelineStage.status, "self check_updates filter_info"),
    "StageCache.restore": (cache.StageCache.restore, "self stage run_cache pull dry"),
    "StageCache.pull": (cache.StageCache.pull, "self remote odb"),
    "gitignore.Pattern": (used.gitignore.Pattern, "pattern ignorecase"),
}
"""What is called, and the names of its parameters."""
COPIED = {
    "Repo._reset": (used.Repo._reset, "8d49034a7be5"),
    "Lock.lock": (used.Lock.lock, "a00e17950e40"),
    "Lock.unlock": (used.Lock.unlock, "f857fc2c088c"),
    "Lockfile.dump_stages": (used.Lockfile.dump_stages, "be78a3c7bd28"),
    "lock_repo": (used.lock_repo, "77da8142ad03"),
    "_edit_rwlock": (used.path_locks._edit_rwlock, "cf3a97fb9efa"),
    "rwlock": (used.path_locks.rwlock, "e8e87c10cc64"),
    "dvc.repo.reproduce": (reproduce, "3f59e3160375"),
    "dvc.stage.decorators": (decorators, "33e8ead91389"),
    "Git.ignore": (Git.ignore, "450a4387055b"),
}
"""What `fork_server.py`, `quick_dvc.py`, `graph.py` and `records.py` put something else in the place of, or have to agree with,
and the hash of its source: if it is another, read the change, make ours agree, and write the new hash here."""


@pytest.mark.parametrize("name", CALLED)
def test_what_is_called_takes_what_we_give(name: str) -> None:
    function, parameters = CALLED[name]
    assert " ".join(inspect.signature(function).parameters) == parameters, f"DVC has changed {name}"


@pytest.mark.parametrize("name", COPIED)
def test_what_we_replace_is_as_we_read_it(name: str) -> None:
    replaced, known = COPIED[name]
    assert _hash(replaced) == known, f"DVC has changed {name}: read how, and make the flows agree"


def _hash(replaced: Any) -> str:
    return hashlib.sha256(inspect.getsource(replaced).encode()).hexdigest()[:12]


def test_no_other_module_reaches_into_dvc() -> None:
    found = {
        path.relative_to(ROOT).as_posix()
        for folder in ("src", "flows", "pipelines")
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_bytes()))
        for name in _imported(node)
        if name.split(".")[0] in {"dvc", "dvc_data", "dulwich", "scmrepo"}
    }
    assert found == {"flows/dvc_internals.py"}


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.ImportFrom) and not node.level:
        return [node.module or ""]
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
