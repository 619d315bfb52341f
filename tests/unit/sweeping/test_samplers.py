"""Every sampler on a bowl whose lowest point is known, with a range, a logarithmic one, a whole number and a choice."""

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from tidemill.core.errors import TidemillError
from tidemill.sweeping import space, study
from tidemill.sweeping.params import Axis, Sweep
from tidemill.sweeping.space import distributions, from_unit, grid, to_unit, values

SPACE = {
    "training.lr": Axis(low=1e-4, high=1e-1, log=True),
    "training.clip": Axis(low=0.0, high=4.0),
    "training.batch": Axis(low=8, high=64, step=8),
    "model.hidden": Axis(choices=[[16], [64]]),
}
SAMPLERS = ["random", "tpe", "genetic", "cmaes", "swarm", "annealing"]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def bowl(params: dict[str, Any]) -> float:
    """0 at lr 1e-2, clip 1, batch 32, hidden [64]."""
    lr = (math.log10(params["training.lr"]) + 2) / 3
    clip, batch = (params["training.clip"] - 1) / 4, (params["training.batch"] - 32) / 56
    return lr**2 + clip**2 + batch**2 + (params["model.hidden"] != [64])


def search(sampler: Any, trials: int, seed: int = 0, reopen: int = 10**9, direction: Any = "minimize") -> list[float]:
    """Costs in the order of the trials; the study is opened anew, as after a kill, every `reopen` trials."""
    sweep = Sweep(space=SPACE, sampler=sampler, trials=trials, seed=seed, direction=direction)
    axes, costs, sign = distributions(sweep), [], 1 if direction == "minimize" else -1
    record = study.open_study("bowl", f"{sampler}-{seed}-{reopen}-{direction}", sweep)
    for number in range(study.planned(sweep)):
        if number and number % reopen == 0:
            record = study.open_study("bowl", f"{sampler}-{seed}-{reopen}-{direction}", sweep)
        trial = study.next_trial(record, sweep, axes, first=number % reopen == 0)
        costs.append(bowl(values(axes, trial.params)))
        record.tell(trial, sign * costs[-1])
    return costs


@pytest.mark.parametrize("sampler", SAMPLERS[1:])
def test_it_learns_from_its_trials(sampler: str) -> None:
    """The second half of the trials is better than the first, in the mean; those of a random search are not."""
    costs = np.array([search(sampler, 40, seed) for seed in range(2)])
    assert costs[:, 20:].mean() < 0.6 * costs[:, :20].mean()
    assert costs.min() < 0.05


@pytest.mark.parametrize("sampler", ["swarm", "annealing"])
def test_it_resumes_as_if_it_had_never_stopped(sampler: str) -> None:
    assert search(sampler, 12, reopen=3) == search(sampler, 12)


@pytest.mark.parametrize("sampler", ["swarm", "annealing"])
def test_more_may_be_better(sampler: str) -> None:
    assert search(sampler, 12, direction="maximize") == search(sampler, 12)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_two_processes_at_work_do_not_draw_the_same(sampler: str) -> None:
    sweep = Sweep(space=SPACE, sampler=sampler)
    axes = distributions(sweep)
    processes = [study.open_study("bowl", sampler, sweep) for _ in range(2)]
    drawn = [study.next_trial(record, sweep, axes, first=True).params for record in processes * 2]
    assert len({str(params) for params in drawn}) == 4


def test_the_grid_is_every_point_once() -> None:
    sweep = Sweep(space=SPACE, sampler="grid", trials=1000)
    points = grid(sweep)
    assert len(points) == 3 * 3 * 8 * 2 == len({tuple(point.items()) for point in points})
    assert {round(point["training.lr"], 6) for point in points} == {0.0001, 0.003162, 0.1}
    assert len(search("grid", 30)) == 30
    assert study.planned(sweep) == 144


def test_points_go_to_the_cube_and_back() -> None:
    axes, generator = distributions(Sweep(space=SPACE)), np.random.default_rng(0)
    for _ in range(200):
        point = from_unit(axes, generator.random(4))
        assert all(kind._contains(kind.to_internal_repr(point[path])) for path, kind in axes.items())
        again = from_unit(axes, to_unit(axes, point))
        assert again == pytest.approx(point) if not isinstance(again, str) else again == point


def test_an_interrupted_trial_is_queued_again() -> None:
    sweep = Sweep(space=SPACE, sampler="tpe")
    record, axes = study.open_study("bowl", "killed", sweep), distributions(sweep)
    stopped = record.ask(axes)
    stopped.report(0.5, 1)
    record = study.open_study("bowl", "killed", sweep)
    assert study.requeue_interrupted(record) == 1
    again = record.ask(axes)
    assert (again.number, again.params) == (1, stopped.params)
    assert study.earlier_reports(record, again) == [0.5]
    assert record.trials[0].state == optuna.trial.TrialState.FAIL


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ("sweep: {space: {training.lrr: {low: 0.1, high: 1.0}}}", "systems.a.training.lrr: no such param"),
        ("sweep: {space: {tokenize.length: {choices: [1]}}}", "is not of model or training"),
        ("sweep: {space: {training.batch: {low: 0, high: 4}}}", "systems.a.training.batch"),
        ("sweep: {space: {training.lr: {low: 1.0}}}", "give either low and high, or choices"),
        ("sweep: {space: {training.weight_decay: {low: 0.0, high: 1.0, log: true}}}", "low must be below high"),
        ("gates: {}", "systems.a.sweep is missing"),
    ],
)
def test_a_mistake_is_found_before_any_work(tmp_path: Path, block: str, message: str) -> None:
    from tests.unit.registry.candidates import PARAMS
    from tidemill.project.params import load_system, with_values

    text = PARAMS.replace("bars", "a") + ("" if block.startswith("gates") else f"    {block}\n")
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(TidemillError, match=message):
        system = load_system("a", tmp_path / "params.yaml")
        space.check("a", system.sweep, partial(with_values, "a", system))
