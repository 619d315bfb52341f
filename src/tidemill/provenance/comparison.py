"""What differs between two versions: rows, params, code, environment, metrics, and examples answered otherwise."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidemill.files import read_json
from tidemill.provenance import storage
from tidemill.provenance.worktree import git
from tidemill.registry.history import Version
from tidemill.registry.tracking import flattened

if TYPE_CHECKING:
    import pandas as pd

SPLITS = ("train", "valid", "test", "rejected")


def compare(one: Version, other: Version, project: Path = Path()) -> dict[str, Any]:
    """What `other` has otherwise than `one`, as JSON.

    Rows come from DVC's cache or remote, metrics and predictions from the registry, commits from git. What cannot be had
    is null.
    """
    before, after = one.lineage, other.lineage
    return {
        "versions": [one.address, other.address],
        "data": data(before, after, project),
        "params": changes(before["params"], after["params"]),
        "code": code(before["code"], after["code"]),
        "environment": changes(before["environment"], after["environment"]),
        "metrics": _metrics(one, other),
        "flipped": _flipped(one, other),
    }


def changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, list[str | None]]:
    """The values that differ, before and after, by dotted path; null where there is none."""
    first, second = flattened(before), flattened(after)
    paths = [*first, *(path for path in second if path not in first)]
    return {path: [first.get(path), second.get(path)] for path in paths if first.get(path) != second.get(path)}


def data(before: dict[str, Any], after: dict[str, Any], project: Path) -> dict[str, Any]:
    """By split, the ids of rows added and gone; null where a table is in neither cache nor remote."""
    first, second = _tables(before), _tables(after)
    rows: dict[str, Any] = {}
    for split in SPLITS:
        if split not in first or split not in second:
            rows[split] = None
        elif first[split] != second[split]:
            rows[split] = _rows(first[split], second[split], project)
    return {"hashes": changes(before["data"], after["data"]), "rows": rows}


def code(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """The commits between two versions and the diffstat; null where the repository lacks one of them."""
    pair = [before["commit"], after["commit"]]
    found: dict[str, Any] = {"commit": pair, "dirty": [before["dirty"], after["dirty"]], "log": None, "diffstat": None}
    if None in pair or git("cat-file", "-e", pair[0]).returncode or git("cat-file", "-e", pair[1]).returncode:
        return found
    log = git("log", "--oneline", "--left-right", f"{pair[0]}...{pair[1]}").stdout.splitlines()
    return found | {"log": log, "diffstat": git("diff", "--stat=100", *pair).stdout.splitlines()}


def flips(before: "pd.DataFrame", after: "pd.DataFrame") -> dict[str, Any] | None:
    """Test examples that only one of two tables of predictions has right; null where a task knows no right and wrong."""
    right = [_right(table) for table in (before, after)]
    if right[0] is None or right[1] is None:
        return None
    tables = [
        table[["id", "prediction"]].assign(right=hits) for table, hits in zip((before, after), right, strict=True)
    ]
    both = tables[0].merge(tables[1], on="id", suffixes=("_before", "_after"))
    labels = before.set_index("id")["label"]

    def listed(rows: "pd.DataFrame") -> list[dict[str, Any]]:
        answers = zip(rows["id"], rows["prediction_before"], rows["prediction_after"], strict=True)
        return [
            {"id": id_, "label": labels[id_], "prediction_before": was, "prediction_after": is_}
            for id_, was, is_ in answers
        ]

    return {
        "rows": len(both),
        "mended": listed(both[~both["right_before"] & both["right_after"]]),
        "broken": listed(both[both["right_before"] & ~both["right_after"]]),
    }


def _tables(lineage: dict[str, Any]) -> dict[str, str]:
    """Hash of each ingested table by its split."""
    tables = {Path(path).stem: digest for path, digest in lineage["data"].items() if path.endswith(".parquet")}
    return {split: tables[split] for split in SPLITS if split in tables}


def _rows(first: str, second: str, project: Path) -> dict[str, list[str]] | None:
    import pandas as pd

    with storage.by_hash(first, project) as before, storage.by_hash(second, project) as after:
        if before is None or after is None:
            return None
        ids = [set(pd.read_parquet(path, columns=["id"])["id"]) for path in (before, after)]
    return {"added": sorted(ids[1] - ids[0]), "gone": sorted(ids[0] - ids[1])}


def _metrics(one: Version, other: Version) -> dict[str, list[dict[str, float] | None]]:
    measured = []
    for version in (one, other):
        with version.file("evaluation.json") as document:
            measured.append(read_json(document)["metrics"])
    names = dict.fromkeys([*measured[0], *measured[1]])
    return {name: [metrics.get(name) for metrics in measured] for name in names}


def _flipped(one: Version, other: Version) -> dict[str, Any] | None:
    from tidemill.data.tables import read_table

    with one.file("predictions.parquet") as before, other.file("predictions.parquet") as after:
        return flips(read_table(before), read_table(after))


def _right(predictions: "pd.DataFrame") -> "pd.Series[bool] | None":
    if "correct" in predictions:
        return predictions["correct"].astype(bool)
    if {"prediction", "label"} <= set(predictions):
        return predictions["prediction"] == predictions["label"]
    return None
