"""Results about versions as lines to read at the terminal."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tidemill.provenance.verdict import Verdict
    from tidemill.serving.shadow import Comparison

SHOWN = 10
"""Examples of each kind that are listed; JSON has all."""


def verdict(found: "Verdict") -> list[str]:
    """Format how a reproduction ended, and what differs."""
    sentences = {
        "identical": f"{found.version} is reproduced: the weights are the same, bit for bit",
        "within tolerance": f"{found.version} is reproduced: the weights are within the tolerance of its tier",
        "different": f"{found.version} is not reproduced: the weights differ",
    }
    lines = [f"{sentences[found.outcome]} ({found.seconds:.0f} s)", f"  weights then  {found.weights_then}"]
    lines.append(f"  weights now   {found.weights_now}")
    if found.outcome != "identical":
        allowed = "promises nothing" if found.tolerance is None else f"allows {found.tolerance:g}"
        distance = "other tensors" if found.distance is None else f"{found.distance:.3g}"
        lines.append(f"  distance      {distance} (the tier {found.determinism} {allowed})")
    for kind in ("environment", "data", "code", "arithmetic"):
        lines += [f"  {kind:<13} {line}" for line in getattr(found, kind)]
    return lines + [f"  note          {line}" for line in found.notes]


def comparison(found: dict[str, Any]) -> list[str]:
    """Format what differs between two versions."""
    parts = {
        "data": _data(found["data"]),
        "params": _changes(found["params"]),
        "code": _code(found["code"]),
        "environment": _changes(found["environment"]),
        "metrics": _metrics(found["metrics"]),
        "attacks on the training rows": _metrics(found["membership"]) or ["not measured"],
        "test examples": _flipped(found["flipped"]),
    }
    lines = [" → ".join(found["versions"])]
    for title, found_in_part in parts.items():
        lines += [title, *(f"  {line}" for line in found_in_part or ["the same"])]
    return lines


def shadow(found: "Comparison") -> list[str]:
    """Format how champion and challenger predicted the same inputs."""
    old, new = found.champion, found.challenger
    lines = [f"champion {old.version}, challenger {new.version}: {found.rows} rows"]
    lines.append(f"  agree on {found.agreed} of {found.compared} ({found.agreed / found.compared:.2%})")
    if old.unanswered or new.unanswered:
        lines.append(f"  without a prediction: champion {old.unanswered}, challenger {new.unanswered}")
    for row in found.differences:
        label = "" if row.label is None else f" (is {row.label})"
        lines.append(f"  row {row.row}: {row.champion} → {row.challenger}{label}")
    if (more := found.compared - found.agreed - len(found.differences)) > 0:
        lines.append(f"  {more} more differ")
    if found.labelled:
        both = {name: [old.metrics.get(name), new.metrics.get(name)] for name in old.metrics | new.metrics}
        lines += [f"metrics of {found.labelled} rows", *(f"  {line}" for line in _metrics(both))]
    if gain := found.gain:
        lines.append(f"  {found.main_metric} gains {gain['value']:+.4f} ({gain['low']:+.4f} to {gain['high']:+.4f})")
    lines.append(f"latency of a row, {old.latency['examples']} tried")
    for part in ("p50_ms", "p95_ms"):
        lines.append(f"  {part.removesuffix('_ms')}: {old.latency[part]:g} ms → {new.latency[part]:g} ms")
    return lines


def _changes(changes: dict[str, list[Any]]) -> list[str]:
    return [f"{path}: {_value(before)} → {_value(after)}" for path, (before, after) in changes.items()]


def _value(value: str | None) -> str:
    return "(none)" if value is None else value


def _data(found: dict[str, Any]) -> list[str]:
    rows = [
        f"{split}: the table is not available: `dvc pull` fetches it where a remote has it"
        if ids is None
        else f"{split}: {len(ids['added'])} rows added, {len(ids['gone'])} gone"
        for split, ids in found["rows"].items()
    ]
    return _changes(found["hashes"]) + rows


def _code(found: dict[str, Any]) -> list[str]:
    before, after = found["commit"]
    dirty = [f"{which} was made from a dirty tree" for which, it in zip("AB", found["dirty"], strict=True) if it]
    if before == after:
        return dirty
    if found["log"] is None:
        return [f"commit: {before} → {after} (this repository lacks one: `git fetch --all`)", *dirty]
    return [f"commit: {before} → {after}", *found["log"], *(line.strip() for line in found["diffstat"]), *dirty]


def _metrics(metrics: dict[str, list[dict[str, float] | None]]) -> list[str]:
    return [f"{name}: {_interval(before)} → {_interval(after)}" for name, (before, after) in metrics.items()]


def _interval(measured: dict[str, float] | None) -> str:
    if measured is None:
        return "not measured"
    return f"{measured['value']:.4g} ({measured['low']:.4g} to {measured['high']:.4g})"


def _flipped(found: dict[str, Any] | None) -> list[str]:
    if found is None:
        return ["this task knows no right and wrong"]
    head = f"{found['rows']} in both, {found['changed']} predicted otherwise"
    lines = [f"{head}: {len(found['fixed'])} fixed, {len(found['broken'])} broken"]
    for kind in ("fixed", "broken"):
        for row in found[kind][:SHOWN]:
            change = f"{row['prediction_before']} → {row['prediction_after']}"
            lines.append(f"{kind} {row['id']}: {change} (is {row['label']})")
        if len(found[kind]) > SHOWN:
            lines.append(f"{kind}: {len(found[kind]) - SHOWN} more, all with --json")
    return lines
