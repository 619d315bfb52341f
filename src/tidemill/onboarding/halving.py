"""Successive halving: all candidates on few rows, then the better half of them on more, within a budget of time.

Jamieson and Talwalkar, Non-stochastic best arm identification and hyperparameter optimization, 2016.
"""

import math
import time
from collections.abc import Callable, Sequence

import pandas as pd

from tidemill.core.errors import TidemillError
from tidemill.onboarding.sampling import Rows
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
        train, valid = rows.sample(count)
        block = blocks(train)
        found = [trial for name in names if name in block and (trial := _try(name, block[name], train, valid, report))]
        if not found:
            raise TidemillError("no candidate can be trained on these rows; the reasons are above")
        trials += found
        names = [trial.candidate for trial in ranked(task, found)[: math.ceil(len(found) / 2)]]
        next_round = GROWTH * sum(trial.seconds for trial in found if trial.candidate in names)
        if len(names) == 1 or len(train) == len(rows.train) or time.monotonic() + next_round > end:
            return trials
        count *= GROWTH


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


def _try(
    name: str, block: Block, train: pd.DataFrame, valid: pd.DataFrame, report: Callable[[str], None]
) -> Trial | None:
    try:
        trial = tried(name, block, train, valid)
    except TidemillError as error:
        report(f"{name}: left out: {error}")
        return None
    report(line(block["task"], trial))
    return trial
