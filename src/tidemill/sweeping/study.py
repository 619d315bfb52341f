"""The study of a sweep: Optuna's record of its trials, in a database that a kill leaves intact."""

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import optuna
from optuna import Study
from optuna.pruners import BasePruner, MedianPruner, NopPruner
from optuna.trial import FrozenTrial, TrialState

from tidemill.sweeping.params import Sweep
from tidemill.sweeping.samplers import common as samplers
from tidemill.sweeping.space import Space
from tidemill.tracking import tags

FOLDER = Path(".tidemill/sweeps")
WRITE_SECONDS = 60
"""Seconds that a process waits for another that writes to the same database."""
BEFORE_PRUNING = 4
"""Trials that run to their end before any is pruned."""
BLOCKS = ("task", "tokenize", "model", "training", "sweep")
"""Blocks of a system that make its study what it is."""
ENDED = (TrialState.COMPLETE, TrialState.PRUNED)


def study_name(name: str, params: Mapping[str, Any], spec: Mapping[str, Any]) -> str:
    """Return the name of a study: another search, other params or other data make another study.

    Args:
        name: the system.
        params: the system's params, of which only `BLOCKS` count.
        spec: `tokens.json`, which holds the hash of the data.
    """
    parts = [{block: params[block] for block in BLOCKS}, spec]
    return f"{name}-{sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]}"


def open_study(system: str, name: str, sweep: Sweep) -> Study:
    """Open the study of this name; a new one of a grid gets all its points queued."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = optuna.storages.RDBStorage(
        f"sqlite:///{FOLDER / system}.db", engine_kwargs={"connect_args": {"timeout": WRITE_SECONDS}}
    )
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        sampler=samplers.of(sweep.sampler).sampler(sweep, 0),
        pruner=_pruner(sweep),
        direction=sweep.direction,
        load_if_exists=True,
    )
    if not study.get_trials(deepcopy=False):
        for point in samplers.of(sweep.sampler).points(sweep) or ():
            study.enqueue_trial(point)
    return study


def next_trial(study: Study, sweep: Sweep, axes: Space, first: bool) -> optuna.Trial:
    """Start the next trial. One process at a time may call this.

    Args:
        first: whether it is the first trial of this process, whose draws must differ from those of other processes and
            of one that was interrupted.
    """
    if first:
        study.sampler = samplers.of(sweep.sampler).sampler(sweep, len(study.get_trials(deepcopy=False)))
    return study.ask(axes)


def first_number(study: Study, trial: FrozenTrial | optuna.Trial) -> int:
    """Return the number of the trial that this one resumes, through all interruptions; its own if it resumes none."""
    resumed = trial.user_attrs.get(tags.RESUMED_FROM)
    return trial.number if resumed is None else first_number(study, study.trials[resumed])


def planned(sweep: Sweep) -> int:
    """Return how many trials a sweep has in the end."""
    points = samplers.of(sweep.sampler).points(sweep)
    return sweep.trials if points is None else min(sweep.trials, len(points))


def requeue_interrupted(study: Study) -> int:
    """Queue the trials again that a kill interrupted, and return their number. No process may be running the study."""
    interrupted = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    for trial in interrupted:
        study.tell(trial.number, state=TrialState.FAIL)
        if trial.params:
            study.enqueue_trial(trial.params, user_attrs={tags.RESUMED_FROM: trial.number})
    return len(interrupted)


def counted(study: Study, *states: TrialState) -> int:
    """Count the trials in these states."""
    return len(study.get_trials(deepcopy=False, states=states))


def earlier_reports(study: Study, trial: FrozenTrial | optuna.Trial) -> list[float]:
    """Return what an interrupted trial had reported, epoch by epoch, for the one that resumes it."""
    number = trial.user_attrs.get(tags.RESUMED_FROM)
    return [] if number is None else [value for _, value in sorted(study.trials[number].intermediate_values.items())]


def _pruner(sweep: Sweep) -> BasePruner:
    return MedianPruner(n_startup_trials=BEFORE_PRUNING, n_warmup_steps=1) if sweep.prune else NopPruner()
