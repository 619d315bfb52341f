"""The verdict of a reproduction: identical weights, weights within the tolerance, or what differs and why."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from tidemill.provenance.stages import STAGES
from tidemill.tracking.run import as_text


@dataclass(frozen=True)
class Verdict:
    """How a reproduction ended."""

    version: str
    outcome: Literal["identical", "within tolerance", "different"]
    weights_then: str
    weights_now: str
    determinism: str
    tolerance: float | None
    """Largest distance that the tier allows; None where it promises nothing."""
    distance: float | None
    """Norm of the difference of the weights over the norm of the weights; None where they have other shapes."""
    environment: list[str] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    code: list[str] = field(default_factory=list)
    arithmetic: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def document(self) -> dict[str, Any]:
        """Return all of it as JSON."""
        return asdict(self)

    @property
    def reproduced(self) -> bool:
        """Whether the weights are what the tier promises."""
        return self.outcome != "different"


def outcome(distance: float | None, tolerance: float | None) -> Literal["identical", "within tolerance", "different"]:
    """Return the outcome for weights at a distance (0: bit-identical) under a tolerance (None: nothing is promised)."""
    if distance == 0:
        return "identical"
    if distance is None or tolerance is None or not distance <= tolerance:  # NaN is not a small distance
        return "different"
    return "within tolerance"


def distance(then: Path, now: Path) -> float | None:
    """Return the norm of the difference of two files of weights over that of the first; None if their tensors differ."""
    import torch
    from safetensors.torch import load_file

    before, after = load_file(then), load_file(now)
    if {name: tensor.shape for name, tensor in before.items()} != {name: t.shape for name, t in after.items()}:
        return None
    squares = [
        (torch.sum((after[name].double() - tensor.double()) ** 2).item(), torch.sum(tensor.double() ** 2).item())
        for name, tensor in before.items()
    ]
    difference, size = (sum(column) ** 0.5 for column in zip(*squares, strict=True))
    return float(difference / size) if size else float(difference > 0)


def differences(then: dict[str, Any], now: dict[str, Any], system: str, source: str) -> dict[str, list[str]]:
    """Return what the stages read or wrote otherwise than the first time: `data`, `code` and `arithmetic`.

    Args:
        then: the entries of `dvc.lock` that the lineage keeps.
        now: those of the reproduction.
        system: the system's name.
        source: path of its raw data.
    """
    found: dict[str, list[str]] = {"data": [], "code": [], "arithmetic": []}
    for stage in (f"{name}@{system}" for name in STAGES):
        before, after = then.get(stage), now.get(stage)
        if before is None or after is None:
            continue
        for path in _unlike(before, after, "deps"):
            kind = "data" if path == source else "code"
            if not path.startswith(f"artifacts/{system}/"):
                found[kind].append(path)
        found["code"] += _unlike_params(before, after)
        if not found["arithmetic"]:  # a later stage reads what this one wrote
            found["arithmetic"] = [f"{stage} wrote another {path}" for path in _unlike(before, after, "outs")]
    return {kind: list(dict.fromkeys(lines)) for kind, lines in found.items()}


def _unlike(before: dict[str, Any], after: dict[str, Any], part: str) -> list[str]:
    one, other = ({entry["path"]: _digest(entry) for entry in side.get(part, [])} for side in (before, after))
    return sorted(path for path in one.keys() | other.keys() if one.get(path) != other.get(path))


def _unlike_params(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    one, other = (as_text(side.get("params", {})) for side in (before, after))
    return [
        f"{path} is {other.get(path)} (then {one.get(path)})"
        for path in sorted(one.keys() | other.keys())
        if one.get(path) != other.get(path)
    ]


def _digest(entry: dict[str, Any]) -> Any:
    return entry.get(entry.get("hash", "md5"))
