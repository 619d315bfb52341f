"""One process of a sweep: it runs one trial after another until all are done. `python -m flows.trials SYSTEM STUDY RUN`.

Several of these may work on a study; each training is that of the train stage, with other params.
"""

import os
import shutil
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from filelock import FileLock
from optuna import Study, Trial, TrialPruned
from optuna.trial import TrialState

from flows import limits
from tidemill.core.errors import TidemillError
from tidemill.core.files import read_json
from tidemill.models.common import networks
from tidemill.project.params import System, load_system, with_values
from tidemill.sweeping import runs as sweeps
from tidemill.sweeping import space, study
from tidemill.sweeping.params import Sweep
from tidemill.tracking.points import Point
from tidemill.tracking.run import TrainingRun, training_run
from tidemill.training import determinism
from tidemill.training.fingerprint import fingerprint
from tidemill.training.fit import resumable
from tidemill.training.params import recorded
from tidemill.training.run import train_system

CHECKPOINTS = Path(".tidemill/checkpoints")
FEATURES = Path(".tidemill/features")
"""Where the train stage keeps the features of frozen bases as well: trials and stage share them."""


def main(name: str, key: str, parent_run: str, *limited: str) -> None:
    """Run trials until the sweep has all of them; each holds its place in the limits, `gpu=1`, as a training does."""
    system = load_system(name)
    sweep = space.check(name, system.sweep, partial(with_values, name, system))
    record, axes = study.open_study(name, key, sweep), space.distributions(sweep)
    places = dict(map(limits.parse, limited))
    first = True
    while True:
        with limits.held(places, lambda limit: print(f"waiting: limit {limit}", flush=True)):
            if (trial := _next(record, name, sweep, axes, first)) is None:
                return
            first = False
            values = space.values(axes, trial.params)
            value = _value(name, with_values(name, system, values), record, trial, parent_run)
            record.tell(trial, value, TrialState.COMPLETE if value is not None else TrialState.PRUNED)
        shown = "pruned" if value is None else f"{sweep.metric} {value:.5g}"
        print(f"trial {trial.number}: {shown} {values}", flush=True)


def _next(record: Study, name: str, sweep: Sweep, axes: space.Space, first: bool) -> Trial | None:
    """Return the next trial, unless enough are done or running. One process at a time asks."""
    with FileLock(study.FOLDER / f"{name}.ask"):
        taken = study.counted(record, *study.ENDED, TrialState.RUNNING)
        return study.next_trial(record, sweep, axes, first) if taken < study.planned(sweep) else None


def _value(name: str, system: System, record: Study, trial: Trial, parent_run: str) -> float | None:
    """Train with these params and return the metric; None if the training was pruned."""
    assert system.sweep is not None
    tokens = Path("artifacts") / name / "tokenize"
    spec = read_json(tokens / "tokens.json")
    training = determinism.with_precision(system.training)
    trained = recorded(training, networks.is_solved(system.model.name))
    params = {"tokenize": spec["tokenize"], "model": system.model.model_dump(), "training": trained}
    identity = {"sweep": record.study_name, "trial": study.first_number(record, trial)}
    key = fingerprint(system.task, system.model.name, {**identity, **params}, spec)
    checkpoints = CHECKPOINTS / f"{name}.sweep" / key
    with training_run(name, key, params, resumed=resumable(checkpoints)) as run:
        sweeps.nest(run, parent_run, trial.number)
        try:
            report = _Report(record, trial, system.sweep.metric, run)
            features = FEATURES / name
            outcome = train_system(system.task, system.model, training, spec, tokens, checkpoints, report, features)
        except TrialPruned:
            outcome = None
    shutil.rmtree(checkpoints)
    if outcome is None:
        return None
    values = _of(system.sweep.metric, outcome.points)
    return values[outcome.kept_epoch - 1]


class _Report:
    """Logs the curve and reports the metric of each epoch to the study.

    It ends a training that falls behind, or whose sweep is gone.
    """

    def __init__(self, record: Study, trial: Trial, metric: str, run: TrainingRun) -> None:
        self.trial, self.metric, self.run, self.parent = trial, metric, run, os.getppid()
        self.epoch = 0
        for value in study.earlier_reports(record, trial):
            self._report(value)

    def __call__(self, points: Sequence[Point]) -> None:
        if os.getppid() != self.parent:
            sys.exit("the sweep that started this process is gone")
        self.run.log(points)
        for value in _of(self.metric, points):
            self._report(value)
            if self.trial.should_prune():
                raise TrialPruned

    def _report(self, value: float) -> None:
        self.epoch += 1
        self.trial.report(value, self.epoch)


def _of(metric: str, points: Sequence[Point]) -> list[float]:
    values = [point.value for point in points if point.name == metric]
    validated = {point.name for point in points if point.name.startswith("val/")}
    if validated and not values:
        raise TidemillError(f"sweep.metric: no {metric!r}; the validation measures: {', '.join(sorted(validated))}")
    return values


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except TidemillError as error:
        sys.exit(f"error: {error}")
