"""The flow that trains again when the data have changed, and proposes the outcome: `tidemill retrain`, or on a schedule.

It works in a clean copy of the last commit. What is checked out, and its branch, are left alone; the outcome is one
new branch that nobody has pushed, and a version in the registry.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

from filelock import FileLock, Timeout
from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.dvc_internals import DvcException, Repo
from flows.events import PROPOSED, emit
from flows.pipeline import train
from flows.worktree import clean_worktree
from tidemill.core.errors import TidemillError
from tidemill.core.files import read_json
from tidemill.core.params import PARAMS_FILE, nearest
from tidemill.project.params import System, load_project
from tidemill.repository.git import output as git
from tidemill.sources.fetch import fetch

LOCK = Path(".tidemill/retrain.lock")
DATA = Path("data")


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
        with _alone(), clean_worktree("retrain"):
            return _retrain(systems, jobs, limits)
    except Timeout:
        return Completed(name="Skipped", message="another retraining is running")
    except (TidemillError, DvcException, CalledProcessError) as error:
        return Failed(message=" ".join(str(error).split()))


@contextmanager
def _alone() -> Iterator[None]:
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(LOCK, timeout=0):
        yield


def _retrain(names: list[str] | None, jobs: int | None, limits: dict[str, int] | None) -> State[Any]:
    project = load_project()
    unknown = sorted(set(names or ()) - set(project.systems))
    if unknown:
        raise TidemillError(f"{PARAMS_FILE}: no system {unknown[0]!r}{nearest(unknown[0], project.systems)}")
    git("var", "GIT_COMMITTER_IDENT")  # fails before hours of training where git does not know who commits
    _pull()
    fetch(project.sources, DATA, refresh=True)
    changed = _changed({name: project.systems[name] for name in names or project.systems})
    if not changed:
        return Completed(message="nothing to do: the data are those of the last training")
    get_run_logger().info("changed: %s", ", ".join(changed))
    _commit(f"New data for {', '.join(changed)}")  # a version is made from a clean tree
    for stage in ("evaluate", "register"):  # nothing enters the registry before all systems are evaluated
        state = train.fn([f"{stage}@{name}" for name in changed], jobs=jobs, limits=limits)
        if not state.is_completed():
            return state
    return _propose(changed)


def _pull() -> None:
    """Fetch the data that the commit pins, from DVC's cache or its remote."""
    pin = DATA.with_suffix(".dvc")
    if pin.exists():
        with Repo() as repo:
            repo.pull([str(pin)])


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


def _commit(message: str) -> None:
    git("add", "--all")
    if git("status", "--porcelain"):  # a source outside the snapshot may be all that has changed
        git("commit", "--quiet", "--message", message)


def _propose(systems: list[str]) -> State[Any]:
    """Put lock and summary on a new branch, and report which versions wait for a review."""
    outcomes = {name: read_json(Path("artifacts") / name / "register" / "registration.json") for name in systems}
    lines = [line for name, outcome in outcomes.items() for line in _summary(name, outcome)]
    _commit("\n".join([f"Retrained {', '.join(systems)}", "", *lines]))
    branch = _new_branch()
    for name, outcome in outcomes.items():
        if outcome["passed"]:
            emit(PROPOSED, name, {"version": outcome["version"], "branch": branch})
    create_markdown_artifact("\n".join([f"Branch `{branch}`", "", *lines]), key="retraining", description="Retraining")
    print(*lines, f"branch: {branch}", sep="\n")
    heads = [line for line in lines if not line.startswith(" ")]
    return Completed(message="; ".join([*heads, f"branch {branch}"]))


def _summary(name: str, outcome: dict[str, Any]) -> list[str]:
    version = f"{name}: version {outcome['version']}"
    head = f"{version} is proposed for review" if outcome["passed"] else f"{version} did not pass its gates"
    return [head, *(f"  {'passed' if gate['passed'] else 'failed'}: {gate['sentence']}" for gate in outcome["gates"])]


def _new_branch() -> str:
    """Name the commit `retrain/<date>`, with a number where there is such a branch."""
    day = f"retrain/{date.today().isoformat()}"
    taken = git("branch", "--list", "--format=%(refname:short)", f"{day}*").split()
    names = [day, *(f"{day}-{number}" for number in range(2, len(taken) + 2))]
    branch = next(name for name in names if name not in taken)
    git("branch", branch)
    return branch
