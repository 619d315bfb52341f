"""What a candidate must meet to become a challenger. Each gate answers in numbers, and in one sentence with them."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tidemill.config import Gates
from tidemill.errors import TidemillError

Interval = Mapping[str, float]
"""`value`, `low` and `high`."""
CHALLENGER, CHAMPION = "challenger", "champion"


@dataclass(frozen=True)
class Answer:
    """What a gate says of a candidate."""

    name: str
    passed: bool
    value: float | None
    """What was measured; null where there was nothing to measure."""
    limit: float | None
    sentence: str
    needed_by: str = CHALLENGER
    """Who has to pass: `challenger` and so every champion, or `champion` alone."""


def within_limits(metrics: Mapping[str, Interval], gates: Gates) -> list[Answer]:
    """An answer for each threshold and each ceiling, in their order.

    Args:
        metrics: Those of `evaluation.json` and, as `behaviour.white_space`, its shares of rows that behaved.

    Raises:
        TidemillError: a gate names a metric that was not measured, be it the one to compare with the champion by.
    """
    if gates.metric is not None:  # a share of changed rows cannot be told from the stored predictions
        measured({name: found for name, found in metrics.items() if "." not in name}, gates.metric)
    lowest = [_at_least(name, measured(metrics, name), limit) for name, limit in gates.thresholds.items()]
    highest = [_at_most(name, measured(metrics, name), limit) for name, limit in gates.ceilings.items()]
    return lowest + highest


def every_slice(evaluation: Mapping[str, Any], limit: float | None) -> list[Answer]:
    """An answer for each slice of the test rows.

    Raises:
        TidemillError: there is a limit, and no slice was measured.
    """
    if limit is None:
        return []
    metric, slices = evaluation["main_metric"], evaluation["slices"]
    if not slices:
        raise TidemillError(
            "gates: slices has a limit and evaluation.json has no slice: take it out, or more test rows"
        )
    return [_at_least(f"{metric} of {found['slice']}", found[metric]["value"], limit) for found in slices]


def quick_and_small(p95_ms: float, megabytes: float, gates: Gates) -> list[Answer]:
    """An answer each for the time that one row takes and the size of the weights, where they have a limit."""
    found = {
        "latency in ms, 95 of 100 rows": (p95_ms, gates.latency_ms),
        "size of the weights in MB": (megabytes, gates.size_mb),
    }
    return [_at_most(name, value, limit) for name, (value, limit) in found.items() if limit is not None]


def validated(validation: Mapping[str, Any]) -> Answer:
    """Whether the data met every expectation."""
    expectations = [entry for entries in validation["tables"].values() for entry in entries]
    broken = sum(not entry["success"] for entry in expectations)
    sentence = f"{broken} of {len(expectations)} expectations of the data are broken"
    return Answer("validation_passed", bool(validation["success"]) and not broken, float(broken), 0.0, sentence)


def not_worse(metric: str, difference: Interval, gates: Gates, champion: str) -> Answer:
    """Whether the candidate is not worse than the champion by more than the margin.

    A test of non-inferiority: the whole confidence interval of the difference, candidate minus champion, must lie
    above minus the margin. A difference that may as well be noise does not pass a margin of 0.
    """
    passed = difference["low"] >= -gates.margin
    sentence = (
        f"{metric} differs by {difference['value']:+.4f} [{difference['low']:+.4f}, {difference['high']:+.4f}] from "
        f"the champion, version {champion}: {'not worse' if passed else 'may be worse'} by more than {gates.margin:g}"
    )
    return Answer("not_worse_than_champion", passed, difference["value"], -gates.margin, sentence)


def no_champion() -> Answer:
    """The first of its name has nothing to be compared with."""
    return Answer("not_worse_than_champion", True, None, None, "there is no champion to compare with")


def not_comparable(reason: str) -> Answer:
    """A champion that cannot be scored on the present test set is one the candidate cannot beat."""
    return Answer("not_worse_than_champion", False, None, None, f"the champion cannot be compared with: {reason}")


def clean_tree(lineage: Mapping[str, Any]) -> Answer:
    """Whether the version was made from a commit as it stands; needed of a champion only."""
    code = lineage["code"]
    changed = len(code["untracked"]) + (code["diff"] or "").count("diff --git ")
    passed = code["dirty"] is False
    if code["dirty"] is None:
        sentence = "it was made outside of git: no commit says from what"
    else:
        sentence = f"{changed} files differ from commit {code['commit'][:8]}" + ("" if passed else ": a dirty tree")
    return Answer("clean_tree", passed, None if code["dirty"] is None else float(changed), 0.0, sentence, CHAMPION)


def lineage_complete(lineage: Mapping[str, Any]) -> Answer:
    """Whether the lineage says all that making the version again takes; needed of a champion only."""
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
    return Answer("lineage_complete", not missing, float(len(missing)), 0.0, sentence, CHAMPION)


def measured(metrics: Mapping[str, Interval], name: str) -> float:
    """The value of a metric of `evaluation.json`.

    Raises:
        TidemillError: it was not measured; the nearest name that was is given.
    """
    if name not in metrics:
        near = difflib.get_close_matches(name, metrics, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(sorted(metrics))}"
        raise TidemillError(f"gates: no metric {name!r} in evaluation.json; {hint}")
    return metrics[name]["value"]


def _at_least(name: str, value: float, limit: float) -> Answer:
    passed = value >= limit
    sentence = f"{name} is {value:.4f}, {'at least' if passed else 'below the lowest allowed'} {limit:g}"
    return Answer(f"threshold.{name}", passed, value, limit, sentence)


def _at_most(name: str, value: float, limit: float) -> Answer:
    passed = value <= limit
    sentence = f"{name} is {value:.4f}, {'at most' if passed else 'above the highest allowed'} {limit:g}"
    return Answer(f"ceiling.{name}", passed, value, limit, sentence)
