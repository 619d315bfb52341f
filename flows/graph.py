"""DVC's graph as a plan: which stages to look at, and in what order."""

import difflib
import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import networkx as nx

from flows.dvc_internals import (
    PROJECT_FILE,
    LockError,
    PipelineStage,
    Repo,
    RunCacheNotSupported,
    get_active_graph,
    lock_repo,
    plan_repro,
)
from flows.quick_dvc import reading
from flows.reasons import reasons_to_run

BUSY_SECONDS = 1.0
"""How often DVC is asked again while another process runs a stage that uses the files."""

logger = logging.getLogger(__name__)


class PlanError(Exception):
    """The stages cannot be planned as asked for: one line that says why."""


class SelectionError(PlanError):
    """A stage or limit was asked for that is not there: one line with the nearest name that is."""


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
    records: tuple[tuple[Path, str], ...] = ()
    """What DVC writes of it: an entry of `dvc.lock`, lines of `.gitignore`, each with the file it stands in."""
    constant: bool = False
    """Whether its output is always the same, so that nothing follows from its run: `meta: {constant: true}`."""


Plan = dict[str, Stage]
"""Stages by address, in the order in which a serial `dvc repro` visits them."""


@dataclass(frozen=True)
class Choice:
    """Which stages a run is about, and when a stage counts as changed."""

    stages: tuple[str, ...] = ()
    """Stages (`train@digits`), groups (`train`), systems (`digits`: every `…@digits`) or DVC files; without them all."""
    downstream: bool = False
    """Also what depends on them."""
    single_item: bool = False
    """Only them, without what they need."""
    recursive: bool = False
    """Names are folders, of which each gives all stages inside it."""
    glob: bool = False
    """Names are patterns, as `train@*`."""
    force: bool = False
    """A reason to run for each."""
    allow_missing: bool = False
    """Data that are only missing are no reason to run."""


def read_plan(choice: Choice = Choice(), limits: Iterable[str] = ()) -> Plan:
    """Plan the stages chosen, and all they need; without a choice, what plain `dvc repro` would visit.

    Raises:
        PlanError: a name fits nothing, no stage of the repository has one of these limits, or `meta.limits` of a stage
            cannot be understood.
        DvcException: the graph or a file of DVC's is broken.
    """
    while True:
        try:
            with repository() as repo:
                _check_limits(repo.index.stages, limits)
                return _read_plan(repo, choice)
        except LockError as error:
            logger.warning("waiting: %s", error)
            time.sleep(BUSY_SECONDS)


def pull_run_cache() -> None:
    """Fetch what DVC's remote knows of earlier runs; a remote that keeps none is only told of, as by DVC itself."""
    with repository() as repo:
        try:
            repo.stage_cache.pull(None)
        except RunCacheNotSupported as error:
            logger.warning("the run cache cannot be pulled: %s", error)


def may_change(plan: Plan) -> list[str]:
    """Return the addresses that will or may run: stages with a reason, and all downstream of these."""
    touched: set[str] = set()
    for address, stage in plan.items():
        if stage.reasons or any(need in touched and not plan[need].constant for need in stage.needs):
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


def read_metrics(plan: Plan) -> dict[str, Any]:
    """Return the content of each stage's metrics files by address, as `dvc metrics show` reads them."""
    with repository() as repo:
        shown = repo.metrics.show(targets=[str(path) for stage in plan.values() for path in stage.metrics])
        files = shown.get("", {}).get("data", {})
        return {
            stage.address: content
            for stage in plan.values()
            for path in stage.metrics
            if (content := files.get(str(path), {}).get("data"))
        }


@contextmanager
def repository() -> Iterator[Repo]:
    """Open the DVC repository of the current folder and hold its lock, waiting for it if need be."""
    repo = Repo(_wait_for_lock=True)
    try:
        with lock_repo(repo):
            yield repo
    finally:
        repo.close()


def _read_plan(repo: Repo, choice: Choice) -> Plan:
    graph = get_active_graph(repo.index.graph)
    chosen = _select(list(graph), choice, repo)
    order = _order(graph, chosen, choice.downstream)
    if choice.single_item:
        order = [stage for stage in order if stage in chosen]
    after = _order_of_frozen(repo.index.graph, order)
    inside = set(order)
    with reading(repo, order):
        return {stage.addressing: _stage(stage, graph, inside, after.get(stage, []), choice) for stage in order}


def _order_of_frozen(graph: nx.DiGraph, order: list[Any]) -> dict[Any, list[Any]]:
    """Return by stage what it has to come after though it does not depend on it.

    DVC cuts a frozen stage off from what it reads, and yet reads it, to record its hash: which of the two comes first
    must not be left to chance, but be as in a serial `dvc repro`.
    """
    rank = {stage: position for position, stage in enumerate(order)}
    after: dict[Any, list[Any]] = {}
    for stage in order:
        for need in graph.successors(stage) if stage.frozen else ():
            if need in rank:
                first, second = sorted((stage, need), key=rank.__getitem__)
                after.setdefault(second, []).append(first)
    return after


def _select(stages: list[Any], choice: Choice, repo: Repo) -> list[Any]:
    """Return the stages to start from, in the order in which DVC itself collects its targets."""
    if not choice.stages:
        if not Path(PROJECT_FILE).is_file():
            return stages
        return [stage for stage in repo.index.stages if stage.relpath == PROJECT_FILE]
    chosen: dict[Any, None] = {}
    for name in choice.stages:
        chosen |= dict.fromkeys(_found(name, stages, choice, repo))
    return list(chosen)


def _found(name: str, stages: list[Any], choice: Choice, repo: Repo) -> list[Any]:
    if found := [stage for stage in stages if name in _names(stage)]:
        return found
    inside = choice.recursive and Path(name).is_dir()
    if not inside and not choice.glob and not Path(name).is_file():
        raise SelectionError(_unknown(name, stages))
    found = list(repo.stage.collect(name, recursive=choice.recursive, glob=choice.glob))
    if not found:
        raise SelectionError(f"no stage is in {name}" if inside else _unknown(name, stages))
    return found


def _names(stage: Any) -> set[str]:
    """Return what a stage can be chosen by: `train@digits` also by its group `train` and its system `digits`."""
    group, _, system = stage.addressing.partition("@")
    return {stage.addressing, group, system} - {""}


def _unknown(name: str, stages: list[Any]) -> str:
    known = sorted(set[str]().union(*map(_names, stages)))
    return f"no stage, group or system is named {name}{_nearest(name, known)}"


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0)
    return f"; did you mean {near[0]}?" if near else ""


def _order(graph: nx.DiGraph, chosen: list[Any], downstream: bool) -> list[Any]:
    """Sort the chosen stages and all they need as a serial `dvc repro` would; edges point at what is needed."""
    if downstream:
        chosen = chosen + [stage for target in chosen for stage in nx.ancestors(graph, target)]
    return list(plan_repro(graph, chosen))


def _stage(stage: Any, graph: nx.DiGraph, inside: set[Any], after: list[Any], choice: Choice) -> Stage:
    reasons = ("forced",) if choice.force else ()
    return Stage(
        address=stage.addressing,
        needs=tuple(need.addressing for need in graph.successors(stage) if need in inside),
        reasons=reasons + tuple(reasons_to_run(stage, choice.allow_missing)),
        limits=_limits(stage),
        metrics=tuple(Path(str(out)) for out in stage.metrics),
        outputs=tuple(Path(str(out)) for out in stage.outs),
        after=tuple(first.addressing for first in after),
        records=tuple(_records(stage)),
        constant=isinstance(stage.meta, dict) and stage.meta.get("constant") is True,
    )


def _limits(stage: Any) -> tuple[str, ...]:
    """Return what stands under `meta: {limits: …}`: one name, a list of names, or nothing.

    Raises:
        PlanError: anything else stands there.
    """
    limits = stage.meta.get("limits") if isinstance(stage.meta, dict) else None
    names = [limits] if isinstance(limits, str) else limits or []
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names) or limits == "":
        raise PlanError(
            f"{stage.relpath}: {stage.addressing}: meta.limits is a name or a list of names, not {limits!r}"
        )
    return tuple(dict.fromkeys(names))


def _check_limits(stages: Iterable[Any], limits: Iterable[str]) -> None:
    known = sorted({limit for stage in stages for limit in _limits(stage)})
    for name in limits:
        if name not in known:
            raise SelectionError(f"no stage has a limit named {name}{_nearest(name, known)}")


def _records(stage: Any) -> Iterator[tuple[Path, str]]:
    if isinstance(stage, PipelineStage):
        yield Path(stage.path).with_suffix(".lock"), stage.name
    for out in stage.outs:
        if out.use_scm_ignore:
            path = Path(out.fs_path)
            yield path.with_name(".gitignore"), f"/{path.name}"
