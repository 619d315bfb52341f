"""DVC's graph as a plan: which stages to look at, in what order, and why each would run."""

import difflib
import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import networkx as nx
from dvc.dvcfile import PROJECT_FILE
from dvc.lock import LockError
from dvc.repo import Repo, lock_repo
from dvc.repo.reproduce import get_active_graph, plan_repro
from dvc.stage import PipelineStage
from dvc.utils.serialize import load_yaml, modify_yaml

BUSY_SECONDS = 1.0
"""How often DVC is asked again while another process runs a stage that uses the files."""

logger = logging.getLogger(__name__)


class SelectionError(Exception):
    """A stage was asked for that is not there: one line with the nearest name that is."""


@dataclass(frozen=True)
class Stage:
    """One stage of the plan."""

    address: str
    """Its name for DVC: `train@digits`, `sub/dvc.yaml:train`, `data.dvc`."""
    needs: tuple[str, ...]
    """Addresses of the planned stages whose outputs it reads."""
    reasons: tuple[str, ...]
    """Why DVC would run it as things stand; empty where nothing it reads or writes has changed."""
    limits: tuple[str, ...]
    """Names of the limits it counts against: `meta: {limits: [gpu]}` in dvc.yaml."""
    metrics: tuple[Path, ...]
    outputs: tuple[Path, ...]
    after: tuple[str, ...] = ()
    """Addresses of planned stages that it has to come after without depending on them."""


Plan = dict[str, Stage]
"""Stages by address, in the order in which a serial `dvc repro` visits them."""


def read_plan(names: Iterable[str] = (), downstream: bool = False, force: bool = False) -> Plan:
    """Plan the stages chosen by `names` and all they need; without names, what plain `dvc repro` would visit.

    A name is a stage (`train@digits`), a group (`train`), a system (`digits`: every `…@digits`) or a DVC file.
    `downstream` adds what depends on them, `force` is a reason to run for each.

    Raises:
        SelectionError: a name fits nothing.
        DvcException: the graph or a file of DVC's is broken.
    """
    while True:
        try:
            with _repository() as repo:
                return _read_plan(repo, list(names), downstream, force)
        except LockError as error:
            logger.warning("waiting: %s", error)
            time.sleep(BUSY_SECONDS)


def may_change(plan: Plan) -> list[str]:
    """Return the addresses that will or may run: stages with a reason, and all downstream of these."""
    touched: set[str] = set()
    for address, stage in plan.items():
        if stage.reasons or touched.intersection(stage.needs):
            touched.add(address)
    return [address for address in plan if address in touched]


def width(plan: Plan, addresses: Iterable[str]) -> int:
    """Return how many of these stages may run at once: the largest generation of their graph, at least 1."""
    graph = nx.DiGraph((need, stage.address) for stage in plan.values() for need in stage.needs)
    graph.add_nodes_from(plan)
    wanted = set(addresses)
    return (
        max(
            (len(wanted.intersection(generation)) for generation in nx.topological_generations(graph)),
            default=1,
        )
        or 1
    )


@contextmanager
def serial_records(plan: Plan) -> Iterator[None]:
    """Leave DVC's records as a serial `dvc repro` would, whatever order the stages inside the block end in.

    New entries of a `dvc.lock` and of a `.gitignore` stand in the order in which they were written.
    """
    with _repository() as repo:
        stages = [stage for address in plan for stage in repo.stage.collect(address)]
        written = [(path, len(_entries(path)), names) for path, names in _new_entries(stages).items()]
    try:
        yield
    finally:
        with _repository():
            for path, old, names in written:
                _sort_new(path, old, names)


def read_metrics(plan: Plan) -> dict[str, Any]:
    """Return the content of each stage's metrics files by address, as `dvc metrics show` reads them."""
    with _repository() as repo:
        shown = repo.metrics.show(targets=[str(path) for stage in plan.values() for path in stage.metrics])
        files = shown.get("", {}).get("data", {})
        return {
            stage.address: content
            for stage in plan.values()
            for path in stage.metrics
            if (content := files.get(str(path), {}).get("data"))
        }


@contextmanager
def _repository() -> Iterator[Repo]:
    """Open the DVC repository of the current folder and hold its lock, waiting for it if need be."""
    repo = Repo(_wait_for_lock=True)
    try:
        with lock_repo(repo):
            yield repo
    finally:
        repo.close()


def _read_plan(repo: Repo, names: list[str], downstream: bool, force: bool) -> Plan:
    graph = get_active_graph(repo.index.graph)
    order = _order(graph, _select(list(graph), names, repo), downstream)
    return {stage.addressing: _stage(stage, graph, set(order), force) for stage in order}


def _select(stages: list[Any], names: list[str], repo: Repo) -> list[Any]:
    """Return the stages to start from, in the order in which DVC itself collects its targets."""
    if not names:
        return list(repo.stage.collect(PROJECT_FILE)) if Path(PROJECT_FILE).is_file() else stages
    chosen: dict[Any, None] = {}
    for name in names:
        found = [stage for stage in stages if name in _names(stage)]
        if not found and not Path(name).is_file():
            raise SelectionError(_unknown(name, stages))
        chosen |= dict.fromkeys(found or repo.stage.collect(name))
    return list(chosen)


def _names(stage: Any) -> set[str]:
    """Return what a stage can be chosen by: `train@digits` also by its group `train` and its system `digits`."""
    group, _, system = stage.addressing.partition("@")
    return {stage.addressing, group, system} - {""}


def _unknown(name: str, stages: list[Any]) -> str:
    known = sorted(set[str]().union(*map(_names, stages)))
    near = difflib.get_close_matches(name, known, n=1, cutoff=0)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"no stage, group or system is named {name}{hint}"


def _order(graph: nx.DiGraph, chosen: list[Any], downstream: bool) -> list[Any]:
    """Sort the chosen stages and all they need as a serial `dvc repro` would; edges point at what is needed."""
    if downstream:
        chosen = chosen + [stage for target in chosen for stage in nx.ancestors(graph, target)]
    return list(plan_repro(graph, chosen))


def _stage(stage: Any, graph: nx.DiGraph, inside: set[Any], force: bool) -> Stage:
    reasons = ("forced",) if force else ()
    return Stage(
        address=stage.addressing,
        needs=tuple(need.addressing for need in graph.successors(stage) if need in inside),
        reasons=reasons + tuple(_reasons(stage)),
        limits=tuple((stage.meta or {}).get("limits", ())) if isinstance(stage.meta, dict | None) else (),
        metrics=tuple(Path(str(out)) for out in stage.metrics),
        outputs=tuple(Path(str(out)) for out in stage.outs),
    )


def _reasons(stage: Any) -> Iterator[str]:
    """Put into words what DVC's status says of a stage."""
    if stage.cmd and not stage.outs and not stage.deps:
        yield "always runs: it names no dependency and no output"
        return
    if _never_ran(stage):
        yield "never run"
        return
    for entry in stage.status().get(stage.addressing, ()):
        if isinstance(entry, str):
            yield _WORDS.get(entry, entry)
        else:
            for changes in entry.values():
                yield from _changes(changes)


_WORDS = {
    "changed command": "its command changed",
    "always changed": "always runs (always_changed)",
}


def _changes(changes: dict[str, Any]) -> Iterator[str]:
    for path, change in changes.items():
        if isinstance(change, dict):  # a params file: the state of each param
            yield from (f"{path}: {param} {state}" for param, state in change.items())
        else:
            yield f"{path} {change}"


def _never_ran(stage: Any) -> bool:
    return bool(stage.cmd) and not any(item.hash_info for item in (*stage.deps, *stage.outs))


def _new_entries(stages: list[Any]) -> dict[Path, list[str]]:
    """Return, by file, the entries that DVC writes for these stages, in the stages' order."""
    entries: dict[Path, list[str]] = {}
    for stage in stages:
        if isinstance(stage, PipelineStage):
            entries.setdefault(Path(stage.path).with_suffix(".lock"), []).append(stage.name)
        for out in stage.outs:
            if out.use_scm_ignore:
                path = Path(out.fs_path)
                entries.setdefault(path.with_name(".gitignore"), []).append(f"/{path.name}")
    return entries


def _entries(path: Path) -> list[str]:
    """Return the entries of a dvc.lock or .gitignore; none if it is not there."""
    if not path.exists():
        return []
    return list(load_yaml(path).get("stages", {})) if path.suffix == ".lock" else path.read_text().splitlines()


def _sort_new(path: Path, old: int, order: list[str]) -> None:
    """Sort the entries of a dvc.lock or .gitignore that came after the `old` first; unknown ones go last."""
    entries = _entries(path)
    rank = {name: position for position, name in enumerate(order)}
    wanted = entries[:old] + sorted(entries[old:], key=lambda name: rank.get(name, len(order)))
    if wanted == entries:
        return
    if path.suffix == ".lock":
        with modify_yaml(path) as content:
            content["stages"] = {name: content["stages"][name] for name in wanted}
    else:
        path.write_text("\n".join(wanted) + "\n")
