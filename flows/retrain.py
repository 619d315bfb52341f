"""The flow that trains again when the data have changed, and proposes the outcome: `tidemill retrain`, or on a schedule.

It works in a clean copy of the last commit. What is checked out, and its branch, are left alone; the outcome is one
new branch that nobody has pushed, and a version in the registry.
"""

from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.dvc_internals import DvcException, Repo
from flows.events import PROPOSED, emit
from flows.pipeline import train
from flows.worktree import DATA, BusyError, Commit, clean_worktree, commit_all, fetch_data, new_branch, waiting_branch
from tidemill.core.errors import TidemillError
from tidemill.core.files import read_json
from tidemill.core.params import PARAMS_FILE, nearest
from tidemill.project.params import System, load_project
from tidemill.sources.fetch import fetch


@flow(name="retrain", log_prints=True)
def retrain(
    systems: list[str] | None = None,
    jobs: int | None = None,
    limits: dict[str, int] | None = None,
) -> State[Any]:
    """Fetch data that change with time again, and train the systems whose data have changed.

    Args:
        systems: which systems; by default all of params.yaml.
        jobs: how many stages may run at once; by default one per core.
        limits: how many stages that name a limit (`meta: {limits: [gpu]}`) may run at once.
    """
    try:
        with clean_worktree("retrain") as commit:
            get_run_logger().info("%s", commit)
            return _retrain(commit, systems, jobs, limits)
    except BusyError:
        return Completed(name="Skipped", message="another retraining is running")
    except (TidemillError, DvcException, CalledProcessError) as error:
        return Failed(message=" ".join(str(error).split()))


def _retrain(commit: Commit, names: list[str] | None, jobs: int | None, limits: dict[str, int] | None) -> State[Any]:
    project = load_project()
    unknown = sorted(set(names or ()) - set(project.systems))
    if unknown:
        raise TidemillError(f"{PARAMS_FILE}: no system {unknown[0]!r}{nearest(unknown[0], project.systems)}")
    fetch_data()
    fetch(project.sources, DATA, refresh=True)
    changed = _changed({name: project.systems[name] for name in names or project.systems})
    if not changed:
        return Completed(message="nothing to do: the data are those of the last training")
    get_run_logger().info("changed: %s", ", ".join(changed))
    commit_all(f"New data for {', '.join(changed)}")  # a version is made from a clean tree
    return trained_and_proposed(commit, changed, "retrain", jobs, limits)


def trained_and_proposed(
    commit: Commit, systems: list[str], branch: str, jobs: int | None, limits: dict[str, int] | None = None
) -> State[Any]:
    """Train systems as the commit has them, register their versions, and put the outcome on a branch `<branch>/<date>`."""
    for stage in ("evaluate", "register"):  # nothing enters the registry before all systems are evaluated
        state = train.fn([f"{stage}@{name}" for name in systems], jobs=jobs, limits=limits)
        if not state.is_completed():
            return state
    return _propose(commit, systems, branch)


def _changed(systems: dict[str, System]) -> list[str]:
    """Take a new snapshot of `data/`; return the systems whose source is not what they were last trained on.

    Raises:
        TidemillError: a source is not there.
    """
    with Repo() as repo:
        if DATA.exists():
            repo.add([str(DATA)])
        return [name for name, system in systems.items() if _has_changed(repo, name, system.source.path)]


def _has_changed(repo: Repo, name: str, source: str) -> bool:
    stage = next(iter(repo.stage.collect(f"ingest@{name}")))
    status = next(dep.status().get(str(dep)) for dep in stage.deps if str(dep) == source)
    if status == "deleted":
        raise TidemillError(
            f"systems.{name}.source.path: {source} is not there; data outside {DATA}/ must be in the commit, "
            "or have an absolute path"
        )
    return bool(status == "modified")


def _propose(commit: Commit, systems: list[str], kind: str) -> State[Any]:
    """Put lock and summary on a new branch, and report which versions wait for a review."""
    outcomes = {name: read_json(Path("artifacts") / name / "register" / "registration.json") for name in systems}
    lines = [line for name, outcome in outcomes.items() for line in _summary(name, outcome)]
    heads = [line for line in lines if not line.startswith(" ")]
    if waiting := waiting_branch(kind, commit):
        return Completed(message=f"nothing new: {'; '.join(heads)}; branch {waiting} has it, and is not merged yet")
    commit_all("\n".join([f"Retrained {', '.join(systems)}", "", *lines]))
    branch = new_branch(kind)
    for name, outcome in outcomes.items():
        if outcome["passed"]:
            emit(PROPOSED, name, {"version": outcome["version"], "branch": branch})
    create_markdown_artifact("\n".join([f"Branch `{branch}`", "", *lines]), key="retraining", description="Retraining")
    print(*lines, f"branch: {branch}", sep="\n")
    return Completed(message="; ".join([*heads, f"branch {branch}"]))


def _summary(name: str, outcome: dict[str, Any]) -> list[str]:
    version = f"{name}: version {outcome['version']}"
    head = f"{version} is proposed for review" if outcome["passed"] else f"{version} did not pass its gates"
    return [head, *(f"  {'passed' if gate['passed'] else 'failed'}: {gate['sentence']}" for gate in outcome["gates"])]
