"""The decision on a new system's params: by trials of the candidates, or by what suits such data without any."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandas as pd

from tidemill.core.errors import TidemillError
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

    @cached_property
    def defaults(self) -> tuple[Block, Block, list[str]]:
        """`ingest` and `validate`, and warnings."""
        return shares(self.rows, self.labels)

    @property
    def notes(self) -> list[str]:
        """What is to be reported of the labels."""
        return [] if self.labels is None else [label_note(self.labels, len(self.rows))]

    def candidates(self, table: pd.DataFrame) -> dict[str, Candidate]:
        """Return what may suit such rows, by name."""
        found = proposal.of(self.task).candidates(table, self.pinned)
        return {candidate.name: candidate for candidate in found}

    def blocks(self, table: pd.DataFrame) -> dict[str, Block]:
        """Return the block of each candidate for such training rows, by name."""
        return {name: self.block(candidate) for name, candidate in self.candidates(table).items()}

    def block(self, candidate: Candidate, gates: Block | None = None) -> Block:
        """Return a candidate as the block of a system."""
        ingest, validate, _ = self.defaults
        cleaning = {"ingest": ingest | candidate.params.get("ingest", {}), "validate": validate}
        parts = {part: candidate.params[part] for part in ("tokenize", "model", "training")}
        return {"task": self.task, "source": self.source, **cleaning, **parts, "evaluate": {}, "gates": gates or {}}


@dataclass(frozen=True)
class Decision:
    """The block of a new system, what to report, and the reasons that `params.yaml` keeps as comments."""

    block: Block
    notes: list[str]
    reasons: list[str] = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)


def decide(found: Findings, budget: float, report: Callable[[str], None]) -> Decision:
    """Decide on the params.

    Args:
        budget: seconds for trials; 0 takes the first candidate without any.

    Raises:
        TidemillError: nothing can be learned from these rows, or no candidate can be trained on them.
    """
    candidates, warnings = found.candidates(found.rows), [*found.defaults[2]]
    if found.source["path"].startswith("/"):
        warnings.append(f"{found.source['path']} is outside this folder: it may be missing on another machine")
    if budget:
        report(
            f"trying {', '.join(candidates)} on part of the rows, for about {_duration(budget)} (--budget 0 skips it)"
        )
        return _by_trials(found, candidates, warnings, budget, report)
    first = next(iter(candidates.values()))
    chosen = f"{first.name}; nothing else was tried"
    return Decision(found.block(first), [*found.notes, *first.notes, chosen, *warnings])


def _by_trials(
    found: Findings, candidates: dict[str, Candidate], warnings: list[str], budget: float, report: Callable[[str], None]
) -> Decision:
    rows = _ingested(found, next(iter(candidates.values())))
    trials = halving.halve(found.task, found.blocks, rows, budget, report)
    best = halving.winner(found.task, trials)
    winner = candidates[best.candidate]
    gates = _gates(found.task, best, proposal.of(found.task).trivial(found.rows))
    if not gates:
        warnings.append("no candidate is clearly better than a trivial model, so there is no threshold: check the data")
    seconds = _whole(best, winner, found.blocks(rows.sample(best.rows).train), len(found.rows))
    takes = f"training on all rows takes about {_duration(seconds)} on this machine, and has not begun"
    notes = [*found.notes, *winner.notes, f"chosen: {winner.name}", takes, *warnings]
    return Decision(found.block(winner, gates), notes, _reasons(found.task, trials), trials)


def table(trials: Sequence[Trial]) -> str:
    """Return trials as CSV: candidate, rows, seconds, and each metric with its interval."""
    rows = [
        {"candidate": trial.candidate, "rows": trial.rows, "seconds": round(trial.seconds, 2)}
        | {f"{name} {end}": number for name, interval in trial.metrics.items() for end, number in interval.items()}
        for trial in trials
    ]
    return pd.DataFrame(rows).to_csv(index=False, lineterminator="\n")


def _ingested(found: Findings, candidate: Candidate) -> Rows:
    """Return the rows that trials may use, ingested as the pipeline would; test rows are left out.

    Raises:
        TidemillError: none are left to train or to validate on.
    """
    drawn = found.rows.sample(min(MOST_ROWS, len(found.rows)), random_state=0).sort_index()
    kept, _ = ingested(drawn, rows.of(found.task), Ingest.model_validate(found.block(candidate)["ingest"]))
    kept = kept.reset_index(drop=True)
    train, valid = (kept[kept["split"] == split].drop(columns="split") for split in ("train", "valid"))
    if train.empty or valid.empty:
        purpose = "train" if train.empty else "validate"
        raise TidemillError(
            f"none of {len(kept)} rows is left to {purpose} on: bring more rows, or try nothing (--budget 0)"
        )
    return Rows(train, valid, proposal.of(found.task).labels(kept), rows.of(found.task).group(kept))


def _gates(task: str, best: Trial, trivial: float) -> Block:
    """Return a threshold that the trial passed with all of its interval, if a trivial model would not."""
    main = scoring.of(task).MAIN_METRIC
    sign = scoring.sign(task, main)
    worst = best.metrics[main]["low" if sign > 0 else "high"]
    limit = sign * math.floor(100 * sign * worst) / 100
    return {"thresholds": {main: limit}} if sign * limit > sign * trivial else {}


def _whole(best: Trial, winner: Candidate, tried: dict[str, Block], rows: int) -> float:
    """Return the seconds of training on all rows, which grow with rows and epochs."""
    epochs: float = winner.params["training"].get("epochs", 1) / tried[winner.name]["training"].get("epochs", 1)
    return best.training * epochs * rows / best.rows


def _reasons(task: str, trials: Sequence[Trial]) -> list[str]:
    best, main = halving.winner(task, trials), scoring.of(task).MAIN_METRIC
    wanted = "highest" if scoring.sign(task, main) > 0 else "lowest"
    last = halving.ranked(task, [trial for trial in trials if trial.rows == best.rows])
    dropped = [trial for trial in trials if trial.candidate not in {one.candidate for one in last}]
    head = f"Chosen by trials, for the {wanted} {main} of validation rows (with a 95 % interval):"
    return [head, *(f"- {halving.line(task, trial)}" for trial in [*last, *dropped])]


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
