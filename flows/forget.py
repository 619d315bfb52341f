"""The flow that trains a system again without some rows, and proposes the outcome: `tidemill forget`.

It works as retraining does, in a clean copy of the last commit: what is checked out is left alone.
"""

from subprocess import CalledProcessError
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.dvc_internals import DvcException
from flows.retrain import trained_and_proposed
from flows.worktree import clean_worktree, commit_all, fetch_data
from tidemill.core.errors import TidemillError
from tidemill.project.params import load_system
from tidemill.provenance import forgetting


@flow(name="forget", log_prints=True)
def forget(system: str, ids: list[str], jobs: int | None = None) -> State[Any]:
    """Add rows to the list of those to be forgotten, train the system without them, and propose the version.

    Args:
        system: its name in params.yaml.
        ids: the ids of the rows.
        jobs: how many stages may run at once; by default one per core.
    """
    try:
        with clean_worktree("forget") as commit:
            load_system(system)
            fetch_data()
            added = forgetting.listed(system, ids)
            if not added:
                return Completed(message=f"{system}: nothing to do: all of these rows are in forgotten/ already")
            commit_all(f"Forget {added} rows of {system}")
            return trained_and_proposed(commit, [system], "forget", jobs)
    except (TidemillError, DvcException, CalledProcessError) as error:
        return Failed(message=" ".join(str(error).split()))
