"""What differs between two versions: rows, params, code, environment, metrics, and examples predicted otherwise."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidemill.core.files import read_json
from tidemill.core.intervals import Interval
from tidemill.registry import flips, versions
from tidemill.registry.history import Version
from tidemill.repository import dvc
from tidemill.repository.git import git
from tidemill.tracking.run import as_text

if TYPE_CHECKING:
    import pandas as pd

SPLITS = ("train", "valid", "test", "rejected")
Measured = dict[str, list[Interval | None]]
"""Values with their intervals, before and after, by name."""


def compare(one: Version, other: Version, project: Path = Path()) -> dict[str, Any]:
    """Compare `other` with `one`, as JSON.

    Rows come from DVC's cache or remote, metrics and predictions from the registry, commits from git. What is not
    available is null.
    """
    before, after = one.lineage, other.lineage
    return {
        "versions": [one.address, other.address],
        "data": data(before, after, project),
        "params": changes(before["params"], after["params"]),
        "code": code(before["code"], after["code"]),
        "environment": changes(before["environment"], after["environment"]),
        "metrics": _metrics(one, other),
        "membership": _membership(one, other),
        "flipped": _flipped(flips.between(one.entry, other.entry)),
    }


def changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, list[str | None]]:
    """Return the values that differ, before and after, by dotted path; null where there is none."""
    first, second = as_text(before), as_text(after)
    paths = [*first, *(path for path in second if path not in first)]
    return {path: [first.get(path), second.get(path)] for path in paths if first.get(path) != second.get(path)}


def data(before: dict[str, Any], after: dict[str, Any], project: Path) -> dict[str, Any]:
    """Return, by split, the ids of rows added and gone; null where a table is in neither cache nor remote."""
    first, second = _tables(before), _tables(after)
    rows: dict[str, Any] = {}
    for split in SPLITS:
        if split not in first or split not in second:
            rows[split] = None
        elif first[split] != second[split]:
            rows[split] = _rows(first[split], second[split], project)
    return {"hashes": changes(before["data"], after["data"]), "rows": rows}


def code(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Return the commits between two versions and the diffstat; null where the repository lacks one of them."""
    pair = [before["commit"], after["commit"]]
    found: dict[str, Any] = {"commit": pair, "dirty": [before["dirty"], after["dirty"]], "log": None, "diffstat": None}
    if None in pair or git("cat-file", "-e", pair[0]).returncode or git("cat-file", "-e", pair[1]).returncode:
        return found
    log = git("log", "--oneline", "--left-right", f"{pair[0]}...{pair[1]}").stdout.splitlines()
    return found | {"log": log, "diffstat": git("diff", "--stat=100", *pair).stdout.splitlines()}


def _tables(lineage: dict[str, Any]) -> dict[str, str]:
    """Return the hash of each ingested table by its split."""
    tables = {Path(path).stem: digest for path, digest in lineage["data"].items() if path.endswith(".parquet")}
    return {split: tables[split] for split in SPLITS if split in tables}


def _rows(first: str, second: str, project: Path) -> dict[str, list[str]] | None:
    import pandas as pd

    with dvc.by_hash(first, project) as before, dvc.by_hash(second, project) as after:
        if before is None or after is None:
            return None
        ids = [set(pd.read_parquet(path, columns=["id"])["id"]) for path in (before, after)]
    return {"added": sorted(ids[1] - ids[0]), "gone": sorted(ids[0] - ids[1])}


def _metrics(one: Version, other: Version) -> Measured:
    return _paired(*(_evaluation(version)["metrics"] for version in (one, other)))


def _membership(one: Version, other: Version) -> Measured:
    """Return what attacks on the training rows of both found, by attack and measurement; nothing of older versions."""
    return _paired(*(_attacks(_evaluation(version)) for version in (one, other)))


def _attacks(evaluation: dict[str, Any]) -> dict[str, Interval]:
    found = evaluation.get("membership") or {}
    attacks = {name: values for name, values in found.items() if isinstance(values, dict) and "auc" in values}
    recited = evaluation.get("recitation") or {}
    attacks["recitation"] = {name: value for name, value in recited.items() if isinstance(value, dict)}
    return {f"{name}.{part}": value for name, values in attacks.items() for part, value in values.items()}


def _evaluation(version: Version) -> dict[str, Any]:
    with version.file(versions.EVALUATION) as document:
        found: dict[str, Any] = read_json(document)
        return found


def _paired(first: dict[str, Interval], second: dict[str, Interval]) -> Measured:
    """Return what either has, before and after; null where there is none."""
    return {name: [first.get(name), second.get(name)] for name in dict.fromkeys([*first, *second])}


def _flipped(found: flips.Flips | None) -> dict[str, Any] | None:
    """List the test rows that only one of two versions has right; null where a task knows no right and wrong."""
    if found is None:
        return None
    return {
        "rows": len(found.rows),
        "changed": int(found.changed.sum()),
        "fixed": _listed(found.fixed),
        "broken": _listed(found.broken),
    }


def _listed(rows: "pd.DataFrame") -> list[dict[str, Any]]:
    names = ["id", "label", "prediction_before", "prediction_after"]
    return [{str(name): value for name, value in row.items()} for row in rows.reindex(columns=names).to_dict("records")]
