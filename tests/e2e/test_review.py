"""The review flow as a worker runs it: it ends while it waits, and goes on with what the form on the page sent."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.dvc_repositories import quiet_environment
from tests.e2e.test_monitor import ask
from tests.projects import ROOT
from tests.unit.registry.proposals import propose
from tidemill.registry import champion
from tidemill.registry.audit import audit
from tidemill.tracking.store import connect


class Review:
    """A run of the deployment, and what a worker and the page do with it."""

    def __init__(self, project: Path, url: str, **parameters: str) -> None:
        self.url, self.project = url, project
        steps = [{"prefect.deployments.steps.set_working_directory": {"directory": str(project)}}]
        made = {"entrypoint": f"{ROOT}/flows/review.py:review", "pull_steps": steps, "enforce_parameter_schema": False}
        flow = ask(url, "flows/", name="review")["id"]
        deployment = ask(url, "deployments/", name=project.name, flow_id=flow, **made)["id"]
        self.id = ask(url, f"deployments/{deployment}/create_flow_run", parameters={"system": "bars", **parameters})[
            "id"
        ]

    def work(self) -> dict[str, Any]:
        """Run it as a worker does; return its state when the process has ended."""
        settings = {**quiet_environment(self.project.parent), "PREFECT_API_URL": self.url}
        command = [sys.executable, "-m", "prefect", "flow-run", "execute", self.id]
        done = subprocess.run(command, cwd=self.project, env=settings, capture_output=True, text=True, timeout=120)
        found = ask(self.url, "flow_runs/filter", flow_runs={"id": {"any_": [self.id]}})
        assert found[0]["state"]["type"] != "CRASHED", done.stdout + done.stderr
        return dict(found[0]["state"])

    def shown(self) -> str:
        """The text of the form."""
        [text] = ask(self.url, f"flow_runs/{self.id}/input/filter", prefix="suspended-decision-description")
        return str(text["value"])

    def send(self, **form: str) -> dict[str, Any]:
        return dict(ask(self.url, f"flow_runs/{self.id}/resume", run_input=form))


def test_a_person_approves_what_the_form_showed(proposed: Path, prefect_url: str) -> None:
    review = Review(proposed, prefect_url)
    assert review.work()["name"] == "Suspended"
    shown = review.shown()
    assert "bars 2, proposed by Ada" in shown and "accuracy is 0.9000, at least 0.1" in shown
    assert "model-card.md" in shown and "lineage.json" in shown

    refused = review.send(decision="perhaps", comment="fewer mistakes", your_name="Grace <grace@localhost>")
    assert refused["status"] == "REJECT"
    assert propose(proposed, seed=2, wrong=6) == "3"  # another challenger, which nobody has looked at
    sent = review.send(decision="approve", comment="fewer mistakes", your_name="Grace <grace@localhost>")
    assert sent["status"] == "ACCEPT"
    state = review.work()
    assert (state["type"], state["name"]) == ("COMPLETED", "Approved"), state["message"]
    entries, wrong = audit(connect(), "bars")
    assert wrong == []
    assert [(e.action, e.state, e.version, e.who, e.identity, e.why) for e in entries] == [
        ("promote", state, "2", "Grace <grace@localhost>", "form", "fewer mistakes") for state in ("begun", "done")
    ]
    found = champion.find(connect(), "bars")
    assert found is not None and found.version == 2


def test_the_same_rules_hold_and_a_version_is_turned_down(proposed: Path, prefect_url: str) -> None:
    own = Review(proposed, prefect_url)
    own.work()
    own.send(decision="approve", comment="mine is good", your_name="Ada L. <ADA@localhost>")
    state = own.work()
    assert state["type"] == "FAILED"
    assert "another person has to approve" in state["message"]
    assert champion.find(connect(), "bars") is None

    other = Review(proposed, prefect_url, version="1")
    other.work()
    assert "bars 1, proposed by Ada" in other.shown()
    other.send(decision="reject", comment="more mistakes", your_name="Grace <grace@localhost>")
    assert other.work()["name"] == "Rejected"
    [entry] = audit(connect(), "bars")[0]
    assert (entry.action, entry.version, entry.identity, entry.why) == ("reject", "1", "form", "more mistakes")
