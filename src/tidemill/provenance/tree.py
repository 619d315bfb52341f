"""The lineage of a version as a tree to read at the terminal."""

from typing import TYPE_CHECKING, Any

from tidemill.registry import licences
from tidemill.registry.history import Version
from tidemill.registry.lineage import NOT_RECORDED, SCHEMA_VERSION
from tidemill.tracking.run import as_text

if TYPE_CHECKING:
    from rich.tree import Tree

ABSENT = "not recorded"


def tree(version: Version) -> "Tree":
    """Show what a version was made from, and what its lineage does not record, as one of an older schema may not."""
    from rich.text import Text
    from rich.tree import Tree

    root = Tree(Text(f"{version.address}{_aliases(version)}", style="bold"))
    for title, lines in _parts(version.lineage).items():
        branch = root.add(Text(title, style="cyan"))
        for line in lines or [ABSENT]:
            branch.add(Text(line, overflow="fold"))
    return root


def _parts(lineage: dict[str, Any]) -> dict[str, list[str]]:
    environment, test_set = lineage["environment"], lineage["test_set"]
    machine = {name: environment[name] for name in ("python", "platform", "machine", "processor")}
    promise = {name: lineage[name] for name in ("determinism", "tolerance", "device")} | {
        f"seed of {name}": seed for name, seed in lineage["seeds"].items()
    }
    runs = {name.replace("_", " "): lineage[f"{name}_id"] or "none" for name in ("run", "parent_run", "flow_run")}
    return {
        "code": _code(lineage["code"]) + _named({"dvc.lock": lineage["dvc"]["lock_sha256"]}),
        "data": _named(lineage["data"]),
        "licences": _named(licences.by_path(lineage)),
        "params": _params(lineage["params"]),
        "environment": _named(machine | environment["packages"] | environment["locks"]),
        "determinism": _named(promise),
        "privacy": _named(lineage["privacy"] or {"differential privacy": "none"}),
        "weights": _named({"sha256": lineage["weights_sha256"]}),
        "test set": _named({"sha256": test_set["sha256"], "rows": test_set["rows"]}),
        "runs": _named(runs),
        "lineage": _named({"schema version": lineage["schema_version"]}) + _lacking(lineage),
    }


def _code(code: dict[str, Any]) -> list[str]:
    """Show the commit and what differed from it."""
    if code["commit"] is None:
        return _named({"commit": None})
    state = {True: "dirty", False: "clean", None: "not known whether clean"}[code["dirty"]]
    lines = [f"commit {code['commit']} ({state})"]
    if code["diff"]:
        lines.append(f"differs in {', '.join(_changed(code['diff']))} (the difference is stored)")
    if code["untracked"]:
        lines.append(f"not tracked by git: {', '.join(code['untracked'])}")
    return lines + (_named({"experiment": code["experiment"]}) if code["experiment"] else [])


def _changed(diff: str) -> list[str]:
    headers = [line for line in diff.splitlines() if line.startswith("diff --git ")]
    return [line.rpartition(" b/")[2] for line in headers]


def _params(params: dict[str, Any]) -> list[str]:
    """Show one line for each block."""
    blocks = ((name, as_text(value) if isinstance(value, dict) else value) for name, value in params.items())
    return [
        f"{name}: {', '.join(f'{path} {leaf}' for path, leaf in block.items()) if isinstance(block, dict) else block}"
        for name, block in blocks
    ]


def _lacking(lineage: dict[str, Any]) -> list[str]:
    if lineage["schema_version"] == SCHEMA_VERSION:
        return []
    whole = {name: NOT_RECORDED[name] for name in ("parent_run_id", "code", "dvc", "data", "params", "environment")}
    lacking = [name for name, empty in whole.items() if lineage[name] == empty]
    return [f"of an older schema, which did not record: {', '.join(lacking)}"] if lacking else ["of an older schema"]


def _named(values: dict[str, Any]) -> list[str]:
    return [f"{name} {ABSENT if value is None else value}" for name, value in values.items()]


def _aliases(version: Version) -> str:
    return f" ({', '.join(version.aliases)})" if version.aliases else ""
