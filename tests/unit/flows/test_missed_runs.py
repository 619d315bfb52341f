"""Which scheduled runs need not run, because a later one does the same."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect.client.schemas.objects import FlowRun

from flows.missed_runs import superseded

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
TRAIN, RETRAIN = uuid4(), uuid4()


def run(minute: int, deployment: UUID = TRAIN, by_hand: bool = False, begun: int = 0, **parameters: Any) -> FlowRun:
    due = BEGIN + timedelta(minutes=minute)
    return FlowRun(
        flow_id=uuid4(),
        name=str(minute),
        deployment_id=deployment,
        auto_scheduled=not by_hand,
        run_count=begun,
        expected_start_time=due,
        parameters=parameters,
    )


@pytest.mark.parametrize(
    ("runs", "missed"),
    [
        ([], []),
        ([run(1)], []),
        ([run(2), run(1), run(3)], [("2", "3"), ("1", "3")]),
        ([run(1), run(2, by_hand=True), run(3, by_hand=True)], []),
        ([run(1, begun=1), run(2)], []),
        ([run(1), run(2, RETRAIN), run(3)], [("1", "3")]),
        ([run(1, stages=["digits"]), run(2, stages=["news"]), run(3, stages=["news"])], [("2", "3")]),
        ([run(1, a=1, b=2), run(2, b=2, a=1)], [("1", "2")]),
    ],
    ids=["none", "one", "several", "by hand", "resumed", "of others", "other parameters", "the same parameters"],
)
def test_the_latest_run_stands_for_those_before_it(runs: list[FlowRun], missed: list[tuple[str, str]]) -> None:
    assert [(run.name, later.name) for run, later in superseded(runs)] == missed
