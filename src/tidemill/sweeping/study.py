"""The study of a sweep: Optuna's record of its trials, in a file that a kill leaves whole."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import optuna
from optuna import Study
from optuna.pruners import BasePruner, MedianPruner, NopPruner
from optuna.trial import FrozenTrial, TrialState

from tidemill.config import Sweep, System
from tidemill.sweeping.samplers import sampler
from tidemill.sweeping.space import grid

FOLDER = Path(".tidemill/sweeps")
WRITE_SECONDS = 60
"""How long a process waits for another that writes to the same file."""
BEFORE_PRUNING = 4
"""Trials that run to their end before any is ended early."""
GOES_ON = "tidemill.goes_on_from"
"""Attribute of a trial: the number of the one that a kill stopped, whose training it goes on with."""
ENDED = (TrialState.COMPLETE, TrialState.PRUNED)


def key(name: str, system: System, spec: dict[str, Any]) -> str:
    """What a study is called: another search, other params or other data make another study."""
    parts = [system.model_dump(mode="json", include={"task", "tokenize", "model", "training", "sweep"}), spec]
    return f"{name}-{sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]}"


def open_study(name: str, key: str, sweep: Sweep) -> Study:
    """The study, made if it is not there; of a grid all points are queued then."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = optuna.storages.RDBStorage(
        f"sqlite:///{FOLDER / name}.db", engine_kwargs={"connect_args": {"timeout": WRITE_SECONDS}}
    )
    study = optuna.create_study(
        storage=storage,
        study_name=key,
        sampler=sampler(sweep),
        pruner=_pruner(sweep),
        direction=sweep.direction,
        load_if_exists=True,
    )
    if sweep.sampler == "grid" and not study.get_trials(deepcopy=False):
        for point in grid(sweep):
            study.enqueue_trial(point)
    return study


def planned(sweep: Sweep) -> int:
    """Trials that a sweep has in the end."""
    return min(sweep.trials, len(grid(sweep))) if sweep.sampler == "grid" else sweep.trials


def take_up(study: Study) -> int:
    """Queue the trials again that a kill stopped; how many there were. No process may be at work on the study."""
    stopped = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    for trial in stopped:
        study.tell(trial.number, state=TrialState.FAIL)
        if trial.params:
            study.enqueue_trial(trial.params, user_attrs={GOES_ON: trial.number})
    return len(stopped)


def counted(study: Study, *states: TrialState) -> int:
    """Trials in these states."""
    return len(study.get_trials(deepcopy=False, states=states))


def earlier_reports(study: Study, trial: FrozenTrial | optuna.Trial) -> list[float]:
    """What a stopped trial had reported, epoch by epoch, to the one that goes on with it."""
    number = trial.user_attrs.get(GOES_ON)
    return [] if number is None else [value for _, value in sorted(study.trials[number].intermediate_values.items())]


def _pruner(sweep: Sweep) -> BasePruner:
    return MedianPruner(n_startup_trials=BEFORE_PRUNING, n_warmup_steps=1) if sweep.prune else NopPruner()
