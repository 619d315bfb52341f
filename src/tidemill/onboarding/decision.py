"""The decision on a new system's params: by trials of the candidates, or by what suits such data without any."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandas as pd

from tidemill.onboarding import halving
from tidemill.onboarding.defaults import label_note, shares
from tidemill.onboarding.sampling import Rows
from tidemill.onboarding.trial import Block, Trial
from tidemill.rows.cleaning import ingested
from tidemill.rows.params import Ingest
from tidemill.tasks.common import proposal, rows, scoring
from tidemill.tasks.common.proposal import Candidate, Pinned

MOST_ROWS = 30_000
"""Rows that trials are drawn from, at most."""
MANY_SECONDS = 600
"""From so long a training on, the time is a warning."""


@dataclass(frozen=True)
class Findings:
    """What is known of the data."""

    task: str
    source: Block
    rows: pd.DataFrame
    """Those that could be read."""
    pinned: Sequence[Pinned]

    @cached_property
    def labels(self) -> "pd.Series[Any] | None":
        """Every label of every row; None where rows have none."""
        return proposal.of(self.task).labels(self.rows)

    def candidates(self, table: pd.DataFrame) -> dict[str, Candidate]:
        """Return what may suit such rows, by name."""
        found = proposal.of(self.task).candidates(table, self.pinned)
        return {candidate.name: candidate for candidate in found}


@dataclass(frozen=True)
class Decision:
    """The block of a new system, what to report, and the reasons that `params.yaml` keeps as comments."""

    block: Block
    notes: list[str]
    reasons: list[str]
    trials: list[Trial] = field(default_factory=list)


def decide(found: Findings, budget: float, report: Callable[[str], None]) -> Decision:
    """Decide on the params.

    Args:
        budget: seconds for trials; 0 takes the first candidate without any.

    Raises:
        TidemillError: nothing can be learned from these rows, or no candidate can be trained on them.
    """
    candidates = found.candidates(found.rows)
    ingest, validate, warnings = shares(found.rows, found.labels)
    if found.source["path"].startswith("/"):
        warnings.append(f"{found.source['path']} is outside this folder: it may be missing on another machine")
    notes = [] if found.labels is None else [label_note(found.labels, len(found.rows))]

    def block(candidate: Candidate, gates: Block) -> Block:
        parts = {part: candidate.params[part] for part in ("tokenize", "model", "training")}
        cleaning = {"ingest": ingest | candidate.params.get("ingest", {}), "validate": validate}
        return {"task": found.task, "source": found.source, **cleaning, **parts, "evaluate": {}, "gates": gates}

    first = next(iter(candidates.values()))
    if not budget:
        chosen = f"{first.name}, without trials of other candidates"
        return Decision(block(first, {}), [*notes, *first.notes, chosen, *warnings], [])
    tables = _tables(found, block(first, {})["ingest"])
    report(f"trying {', '.join(candidates)} on part of the rows, for about {_duration(budget)} (--budget 0 skips it)")
    blocks = lambda table: {name: block(one, {}) for name, one in found.candidates(table).items()}  # noqa: E731
    trials = halving.halve(found.task, blocks, tables, budget, report)
    best = halving.winner(found.task, trials)
    winner = candidates[best.candidate]
    gates = _gates(found.task, best, proposal.of(found.task).trivial(found.rows))
    if not gates:
        warnings.append(
            "no candidate is clearly better than a trivial model, so no threshold is proposed: look at the data"
        )
    seconds = _whole(best, winner.params["training"], blocks(tables.train.head(best.rows)), len(found.rows))
    time = f"training on all rows takes about {_duration(seconds)} on this machine, and has not begun"
    (warnings if seconds > MANY_SECONDS else notes).append(time)
    return Decision(
        block(winner, gates),
        [*notes, *winner.notes, f"chosen: {winner.name}", *warnings],
        _reasons(found.task, trials),
        trials,
    )


def table(trials: Sequence[Trial]) -> str:
    """Return trials as CSV: candidate, rows, seconds, and each metric with its interval."""
    rows = [
        {"candidate": trial.candidate, "rows": trial.rows, "seconds": round(trial.seconds, 2)}
        | {f"{name} {end}": number for name, interval in trial.metrics.items() for end, number in interval.items()}
        for trial in trials
    ]
    return pd.DataFrame(rows).to_csv(index=False, lineterminator="\n")


def _tables(found: Findings, ingest: Block) -> Rows:
    """Return the rows that trials may use, ingested as the pipeline would; test rows are left out."""
    drawn = found.rows.sample(min(MOST_ROWS, len(found.rows)), random_state=0).sort_index()
    kept, _ = ingested(drawn, rows.of(found.task), Ingest.model_validate(ingest))
    kept = kept.reset_index(drop=True)
    parts = [kept[kept["split"] == split].drop(columns="split") for split in ("train", "valid")]
    return Rows(*parts, labels=proposal.of(found.task).labels(kept))


def _gates(task: str, best: Trial, trivial: float) -> Block:
    """Return a threshold that the trial passed with all of its interval, if a trivial model would not."""
    main = scoring.of(task).MAIN_METRIC
    lowest = math.floor(100 * best.metrics[main]["low"]) / 100
    return {"thresholds": {main: lowest}} if lowest > trivial else {}


def _whole(best: Trial, training: Block, tried: dict[str, Block], rows: int) -> float:
    """Return the seconds of training on all rows, which grow with rows and epochs."""
    epochs = training.get("epochs", 1) / tried[best.candidate]["training"].get("epochs", 1)
    return best.training * epochs * rows / best.rows


def _reasons(task: str, trials: Sequence[Trial]) -> list[str]:
    best = halving.winner(task, trials)
    last = halving.ranked(task, [trial for trial in trials if trial.rows == best.rows])
    dropped = [trial for trial in trials if trial.candidate not in {one.candidate for one in last}]
    head = (
        f"Chosen by trials, for the highest {scoring.of(task).MAIN_METRIC} of validation rows (with a 95 % interval):"
    )
    return [head, *(f"- {halving.line(task, trial)}" for trial in [*last, *dropped])]


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
