"""Successive halving: all candidates on few rows, then the better half of them on more, within a budget of time.

Jamieson and Talwalkar, Non-stochastic best arm identification and hyperparameter optimization, 2016.
"""

import math
import time
from collections.abc import Callable, Iterable, Sequence

import pandas as pd

from tidemill.core.errors import TidemillError
from tidemill.onboarding.sampling import FEW, FOLDS, Rows, Split
from tidemill.onboarding.trial import Block, Trial, tried
from tidemill.tasks.common import scoring

FIRST = 500
"""Training rows of the first round."""
GROWTH = 3
"""How many times as many rows the next round has."""


def halve(
    task: str,
    blocks: Callable[[pd.DataFrame], dict[str, Block]],
    rows: Rows,
    budget: float,
    report: Callable[[str], None],
) -> list[Trial]:
    """Try candidates until one is left, all rows are used, or the next round would not fit the budget.

    Where few rows are validated, those left are then measured on all rows in folds, in place of the last round.

    Args:
        blocks: returns the params of each candidate for some training rows, by its name.
        budget: seconds.
        report: called with a line for each trial.

    Returns:
        The trials of all rounds, in their order.

    Raises:
        TidemillError: no candidate can be trained on these rows.
    """
    end, trials, count = time.monotonic() + budget, list[Trial](), FIRST
    names = list(blocks(rows.train))
    while True:
        split = rows.sample(count)
        found = _round(names, blocks(split.train), lambda split=split: [split], report)  # type: ignore[misc]
        if not found:
            raise TidemillError("no candidate can be trained on these rows; the reasons are above")
        names = _better(task, found)
        next_round = GROWTH * sum(trial.seconds for trial in found if trial.candidate in names)
        if len(names) == 1 or len(split.train) == len(rows.train) or time.monotonic() + next_round > end:
            break
        trials += found
        count *= GROWTH
    return [*trials, *(_in_folds(task, blocks, rows, found, end, report) if len(split.valid) < FEW else found)]


def _in_folds(
    task: str,
    blocks: Callable[[pd.DataFrame], dict[str, Block]],
    rows: Rows,
    found: list[Trial],
    end: float,
    report: Callable[[str], None],
) -> list[Trial]:
    """Try the candidates of the last round, or the better half of them, on all rows in folds, if there is time for that."""
    whole = len(rows.train) + len(rows.valid)
    for names in ([trial.candidate for trial in found], _better(task, found)):
        seconds = sum(
            FOLDS * trial.seconds * max(1.0, whole / trial.rows) for trial in found if trial.candidate in names
        )
        if len(names) > 1 and time.monotonic() + seconds < end:
            report(f"few rows to validate on: once more in {FOLDS} folds of all {whole:,}")
            return _round(names, blocks(next(rows.folds()).train), rows.folds, report) or found
    return found


def _better(task: str, trials: Sequence[Trial]) -> list[str]:
    """Return the better half of the candidates."""
    return [trial.candidate for trial in ranked(task, trials)[: math.ceil(len(trials) / 2)]]


def ranked(task: str, trials: Sequence[Trial]) -> list[Trial]:
    """Return trials of one round, the best by the task's main metric first; of equals, the one named first."""
    main = scoring.of(task).MAIN_METRIC
    sign = scoring.sign(task, main)
    return sorted(trials, key=lambda trial: -sign * trial.metrics[main]["value"])


def winner(task: str, trials: Sequence[Trial]) -> Trial:
    """Return the best trial of the last round."""
    return ranked(task, [trial for trial in trials if trial.rows == trials[-1].rows])[0]


def line(task: str, trial: Trial) -> str:
    """Return a trial in one line."""
    main = scoring.of(task).MAIN_METRIC
    found = trial.metrics[main]
    metric = f"{main} {found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"
    return f"{trial.candidate}: {metric} after {trial.rows:,} rows, {trial.seconds:.0f} s"


def _round(
    names: Sequence[str],
    blocks: dict[str, Block],
    splits: Callable[[], Iterable[Split]],
    report: Callable[[str], None],
) -> list[Trial]:
    """Try each candidate on the same splits; one that cannot be trained is left out."""
    found = []
    for name in names:
        if name in blocks:
            try:
                found.append(tried(name, blocks[name], splits()))
                report(line(blocks[name]["task"], found[-1]))
            except TidemillError as error:
                report(f"{name}: left out: {error}")
    return found
