"""Ask a person in Prefect's form whether a proposed version becomes champion: `prefect deployment run review/review`.

While it waits there is no process: the run is suspended, and a worker resumes it when the form is filled in.
"""

from typing import Any, Literal

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.flow_runs import suspend_flow_run
from prefect.input import RunInput
from prefect.states import Completed, Failed
from pydantic import Field

from tidemill.core.errors import TidemillError
from tidemill.registry import promotion, proposals
from tidemill.registry.decision_entry import Entry
from tidemill.registry.identity import Identity
from tidemill.tracking.store import connect


class Decision(RunInput):
    """The fields of the form."""

    decision: Literal["approve", "reject"] = Field(description="approve: the version becomes champion")
    comment: str = Field(min_length=1, description="Why, in a sentence, for the log")
    your_name: str = Field(min_length=1, description="Ada <ada@example.org>: somebody else than the proposer")


@flow(name="review", persist_result=True)
def review(system: str, version: str | None = None) -> State[Any]:
    """Show a version, wait for a person's decision however long it takes, and carry it out.

    Args:
        system: a system of params.yaml.
        version: its number; by default the challenger's.
    """
    try:
        shown, text = _proposal(system, version)
        form = Decision.with_initial_data(description=text)
        decided = suspend_flow_run(wait_for_input=form, key="decision", timeout=None)
        entry = _carry_out(system, shown, decided)
    except TidemillError as error:
        return Failed(message=str(error))
    return Completed(
        name="Approved" if entry.action == "promote" else "Rejected",
        message="; ".join(filter(None, [str(entry), entry.claim])),
    )


@task(persist_result=True)
def _proposal(system: str, version: str | None) -> tuple[str, str]:
    """Return the version's number and its description. Both are persisted: the decision is on what was shown."""
    client = connect()
    shown = version or proposals.challenger(client, system)
    text = proposals.describe(client, system, shown)
    create_markdown_artifact(text, key="proposal", description=f"{system} {shown}")
    return shown, text


def _carry_out(system: str, version: str, decided: Decision) -> Entry:
    decide = promotion.approve if decided.decision == "approve" else promotion.reject
    return decide(connect(), system, version, Identity(decided.your_name, "form"), decided.comment)
