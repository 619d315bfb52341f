"""Checks of a candidate: each compares numbers with a limit, and explains the outcome in one sentence.

The checks that every candidate must pass are here; those with a limit in `params.yaml` are the gates of `gates/`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tidemill.core.errors import TidemillError
from tidemill.core.intervals import Interval
from tidemill.core.params import nearest
from tidemill.registry.params import Gates
from tidemill.tasks.common import scoring
from tidemill.tracking import tags

PROBE = "probe."
"""What the name of a share of rows that passed a probe begins with."""


@dataclass(frozen=True)
class Check:
    """What a gate found of a candidate."""

    name: str
    passed: bool
    value: float | None
    """What was measured; null where there was nothing to measure."""
    limit: float | None
    sentence: str
    needed_by: str = tags.CHALLENGER
    """Who has to pass: `challenger` and so every champion, or `champion` alone."""


def measurements(evaluation: Mapping[str, Any]) -> dict[str, Interval]:
    """Return what a gate may name: the metrics and, as `probe.white_space`, the share of rows that passed each probe."""
    shares = {
        f"{PROBE}{slug(found['name'])}": found["passed"]
        for found in evaluation["probes"]
        if found["passed"] is not None
    }
    return {**evaluation["metrics"], **shares}


def slug(name: str) -> str:
    """Return a name as a param spells it: `White space` is `white_space`."""
    return re.sub(r"\W+", "_", name.lower()).strip("_")


def validated(validation: Mapping[str, Any]) -> Check:
    """Check that the data met every expectation."""
    expectations = [entry for entries in validation["tables"].values() for entry in entries]
    broken = sum(not entry["success"] for entry in expectations)
    sentence = f"{broken} of {len(expectations)} expectations of the data are broken"
    return Check("validation_passed", bool(validation["success"]) and not broken, float(broken), 0.0, sentence)


def not_worse(metric: str, difference: Interval, sign: int, gates: Gates, champion: str) -> Check:
    """Check that the candidate is not worse than the champion by more than the margin.

    A test of non-inferiority: the whole confidence interval of the gain, candidate minus champion, must lie above minus
    the margin. A gain that may as well be noise does not pass a margin of 0.

    Args:
        sign: 1 if a higher value of the metric is the better one, otherwise -1: the gain is champion minus candidate.
    """
    passed = min(sign * difference["low"], sign * difference["high"]) >= -gates.margin
    sentence = (
        f"{metric} differs by {difference['value']:+.4f} [{difference['low']:+.4f}, {difference['high']:+.4f}] from "
        f"the champion, version {champion}: {'not worse' if passed else 'may be worse'} by more than {gates.margin:g}"
    )
    return Check("not_worse_than_champion", passed, difference["value"], -sign * gates.margin, sentence)


def no_champion() -> Check:
    """Pass the first version of a system, which has nothing to be compared with."""
    return Check("not_worse_than_champion", True, None, None, "there is no champion to compare with")


def not_comparable(reason: str) -> Check:
    """Fail a candidate whose champion cannot be scored on the present test set: it cannot beat that champion."""
    return Check("not_worse_than_champion", False, None, None, f"the champion cannot be compared with: {reason}")


def clean_tree(lineage: Mapping[str, Any]) -> Check:
    """Check that the version was made from a commit as it stands; needed by a champion only."""
    code = lineage["code"]
    changed = len(code["untracked"]) + (code["diff"] or "").count("diff --git ")
    passed = code["dirty"] is False
    if code["dirty"] is None:
        sentence = "it was made outside of git: no commit records its code"
    else:
        sentence = f"{changed} files differ from commit {code['commit'][:8]}" + ("" if passed else ": a dirty tree")
    value = None if code["dirty"] is None else float(changed)
    return Check("clean_tree", passed, value, 0.0, sentence, tags.CHAMPION)


def lineage_complete(lineage: Mapping[str, Any]) -> Check:
    """Check that the lineage records everything needed to reproduce the version; needed by a champion only."""
    found = {
        "commit": lineage["code"]["commit"],
        "dvc.lock": lineage["dvc"]["lock_sha256"],
        "stages": lineage["dvc"]["stages"],
        "data": lineage["data"],
        "params": lineage["params"],
        "environment's locks": lineage["environment"]["locks"],
        "weights": lineage["weights_sha256"],
        "test set": lineage["test_set"]["sha256"],
        "run": lineage["run_id"],
    }
    missing = [name for name, value in found.items() if not value]
    sentence = f"its lineage lacks {len(missing)} of {len(found)} parts" + (
        f": {', '.join(missing)}" if missing else ""
    )
    return Check("lineage_complete", not missing, float(len(missing)), 0.0, sentence, tags.CHAMPION)


def value_of(measured: Mapping[str, Interval], name: str) -> float:
    """Return the value of a metric of `evaluation.json`.

    Raises:
        TidemillError: it was not measured; the nearest name that was is given.
    """
    if name not in measured:
        raise TidemillError(f"gates: no metric {name!r} in evaluation.json{nearest(name, measured)}")
    return measured[name]["value"]


def within(name: str, value: float, limit: float, task: str, metric: str) -> Check:
    """Check that a value is not worse than its limit, which is the lowest allowed or, of an error, the highest."""
    return (at_least if scoring.sign(task, metric) > 0 else at_most)(name, value, limit)


def at_least(name: str, value: float, limit: float) -> Check:
    """Check that a value is not below its limit."""
    value = float(value)
    passed = value >= limit
    sentence = f"{name} is {value:.4f}, {'at least' if passed else 'below the lowest allowed'} {limit:g}"
    return Check(f"threshold.{name}", passed, value, limit, sentence)


def at_most(name: str, value: float, limit: float) -> Check:
    """Check that a value is not above its limit."""
    value = float(value)
    passed = value <= limit
    sentence = f"{name} is {value:.4f}, {'at most' if passed else 'above the highest allowed'} {limit:g}"
    return Check(f"ceiling.{name}", passed, value, limit, sentence)
