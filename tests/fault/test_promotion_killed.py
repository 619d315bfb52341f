"""Promotions that are killed between any two steps, and twenty at once: the alias and the log always agree in the end."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fault.acts import PROMOTION
from tests.fault.kills import PATHS, Step, run_killed
from tests.postgresql import PostgreSQL
from tests.unit.registry.proposals import proposed_project
from tidemill.registry import champion
from tidemill.registry.audit import audit
from tidemill.tracking import store

RACE = """
import os
from concurrent.futures import ThreadPoolExecutor
from tidemill.core.errors import TidemillError
from tidemill.registry import promotion
from tidemill.tracking import store
from tidemill.registry.identity import Identity
def race(turn):
    version, outcome, line = str(1 + turn % 2), "won", "-"
    try:
        who = Identity(f"grace{turn} <grace{turn}@localhost>", "git")
        promotion.approve(store.connect(), "bars", version, who, "good")
    except TidemillError as error:
        outcome, line = "lost", str(error)
    os.write(1, f"{outcome} {version} {line}\\n".encode())
children = []
for group in range(4):  # four processes of five threads, none of which has opened the store before
    child = os.fork()
    if child == 0:
        with ThreadPoolExecutor(5) as pool:
            list(pool.map(race, range(group * 5, group * 5 + 5)))
        os._exit(0)
    children.append(child)
for child in children:
    os.waitpid(child, 0)
"""
CLIENT, FILE = "mlflow:MlflowClient", "tidemill.registry.decision_file"
STEPS = [
    Step(CLIENT, "create_experiment", 1, "after"),
    Step(CLIENT, "create_run", 1, "after"),
    Step(CLIENT, "rename_experiment", 1, "after"),
    Step(CLIENT, "log_param", 1, "after"),
    Step(CLIENT, "set_registered_model_alias", 1, "before"),
    Step(CLIENT, "set_registered_model_alias", 1, "after"),
    Step(CLIENT, "log_param", 2, "after"),
    Step(FILE, "append_missing", 2, "before"),
    Step(FILE, "append_missing", 2, "after"),
]


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_killed_between_two_steps(proposed: Path, step: Step) -> None:
    run_killed(PROMOTION.script, *PROMOTION.arguments, step=step)
    client = store.connect()
    found, (entries, wrong) = champion.find(client, "bars"), audit(client, "bars")
    assert not any("without a decision" in line for line in wrong)  # the log decides which of the two it is
    assert found is None or entries[-1].champion_after == "1"
    PROMOTION.succeed()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ended_by_another_signal(proposed: Path, number: signal.Signals) -> None:
    run_killed(PROMOTION.script, *PROMOTION.arguments, step=Step(CLIENT, "log_param", 1, "after"), number=number)
    PROMOTION.succeed()


def test_of_twenty_at_once_one_wins(proposed: Path) -> None:
    assert_one_of_twenty_wins()


def test_of_twenty_at_once_one_wins_in_postgresql(
    tmp_path: Path, postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = postgresql.new_database("race")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    monkeypatch.chdir(proposed_project(tmp_path, store))
    assert_one_of_twenty_wins()


def assert_one_of_twenty_wins() -> None:
    race = subprocess.run(
        [sys.executable, "-c", RACE],
        env=os.environ | {"PYTHONPATH": PATHS},
        capture_output=True,
        text=True,
        check=True,
    )
    outcomes = [line.split(" ", 2) for line in race.stdout.splitlines()]
    entries, wrong = audit(store.connect(), "bars")
    assert wrong == []
    assert [entry.state for entry in entries] == ["begun", "done"]
    assert len(outcomes) == 20
    won = [version for outcome, version, _ in outcomes if outcome == "won"]
    assert won and set(won) == {entries[0].champion_after}  # who asks for what another has got is content
    lost = [line for outcome, _, line in outcomes if outcome == "lost"]
    assert all("another decision" in line or "compared with champion none" in line for line in lost), lost
