"""The flow `train` as a deployment runs it: on a commit, whatever lies in the folder beside it."""

from subprocess import CalledProcessError
from typing import Any

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Failed

from flows import pipeline
from flows.dvc_internals import DvcException
from flows.runners import chosen_runner
from flows.worktree import Commit, clean_worktree, commit_all, fetch_data, new_branch, waiting_branch
from tidemill.core.errors import TidemillError


@flow(name="train", task_runner=chosen_runner(), log_prints=True)
def train(
    stages: list[str] | None = None,
    commit: str | None = "HEAD",
    downstream: bool = False,
    force: bool = False,
    keep_going: bool = False,
    jobs: int | None = None,
    limits: dict[str, int] | None = None,
    pull: bool = False,
) -> State[Any]:
    """Bring stages of a commit, and all they need, up to date; what they recorded is a branch to merge.

    Args:
        stages: stages (`train@digits`), groups (`train`) or systems (`digits`); without them all of dvc.yaml.
        commit: a commit, branch or tag, in a worktree of its own; without it what lies in the folder, which then has
            the outcome as after `tidemill run`.
        downstream: also what depends on them.
        force: also what has not changed.
        keep_going: after a failure, go on with what does not depend on it.
        jobs: how many stages may run at once; without it one a core.
        limits: how many stages that name a limit (`meta: {limits: [gpu]}`) may run at once on this machine.
        pull: fetch missing data from DVC's remote, and its run cache.
    """
    chosen = {"downstream": downstream, "force": force, "keep_going": keep_going, "pull": pull}
    if commit is None:
        return pipeline.train.fn(stages, jobs=jobs, limits=limits, **chosen)
    try:
        with clean_worktree("train", commit) as found:
            get_run_logger().info("%s", found)
            fetch_data()
            state = pipeline.train.fn(stages, jobs=jobs, limits=limits, **chosen)
            message = f"{state.message}; {found}; {_recorded(found, state.message or '')}"
            return state.model_copy(update={"message": message})
    except (TidemillError, DvcException, CalledProcessError) as error:
        return Failed(message=" ".join(str(error).split()))


def _recorded(commit: Commit, message: str) -> str:
    """Put what the stages recorded on a new branch, and say which; a branch that waits with the same will do."""
    if waiting := waiting_branch("train", commit):
        return f"branch {waiting} has it, and is not merged yet"
    if not commit_all(f"Trained\n\n{message}"):
        return "nothing to record"
    return f"branch {new_branch('train')}"
