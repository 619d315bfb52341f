"""Making a registered version again, from the repository, DVC's storage and the registry alone."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tidemill.config import read_yaml
from tidemill.errors import TidemillError
from tidemill.files import read_json, sha256_file
from tidemill.models import CONFIG, WEIGHTS
from tidemill.provenance import environment, storage, verdict
from tidemill.provenance.stages import Tell, run_again
from tidemill.provenance.worktree import git, worktree
from tidemill.registry.history import REGISTERED_WEIGHTS, Version
from tidemill.registry.tracking import flattened


def reproduce(version: Version, any_environment: bool, folder: Path | None, tell: Tell) -> verdict.Verdict:
    """Train a version again from nothing in a clean worktree, and compare the weights.

    Its run goes into a tracking store inside the worktree: the registry is only read.

    Args:
        any_environment: go on in an environment that differs; what differs stands in the verdict.
        folder: where to work and leave everything; else a temporary folder.
        tell: gets lines on how far it is.

    Raises:
        TidemillError: it cannot be made again, with the reason.
    """
    start, then = time.monotonic(), version.lineage
    _check_recorded(then, version.address)
    _check_untracked(then, version.address)
    with worktree(then["code"], version.address, folder) as made:
        tell(f"{version.address}: commit {then['code']['commit'][:12]} in {made}")
        unlike = environment.differences(then, made / "requirements")
        if unlike and not any_environment:
            raise TidemillError(
                f"this environment is not that of {version.address}: {', '.join(unlike)}; run `make setup` in a checkout "
                f"of {then['code']['commit'][:12]} and its tidemill, or go on with --any-environment"
            )
        storage.share(Path(), made)
        storage.bring(made, tracked(made, then["params"]))
        entries = run_again(made, version.name, then["device"], tell)
        weights = made / "artifacts" / version.name / "train" / "model" / WEIGHTS
        unlike += _other_device(weights, then, unlike)
        now = sha256_file(weights)
        distance = 0.0 if now == then["weights_sha256"] else _distance(version, weights)
    read = verdict.differences(then["dvc"]["stages"], entries, version.name, then["params"]["source"]["path"])
    outcome = verdict.outcome(distance, then["tolerance"])
    explained = outcome == "identical" or any([unlike, read["data"], read["code"]])
    return verdict.Verdict(
        version.address,
        outcome,
        then["weights_sha256"],
        now,
        then["determinism"],
        then["tolerance"],
        distance,
        environment=unlike,
        data=read["data"],
        code=read["code"],
        arithmetic=[] if explained else read["arithmetic"] or ["other weights from the same input"],
        notes=_notes(then),
        seconds=round(time.monotonic() - start, 1),
    )


def tracked(folder: Path, params: dict[str, Any]) -> list[str]:
    """Paths named by params that lie in what a `.dvc` file of a worktree tracks: raw data, and weights to begin with."""
    pins = git("ls-files", "*.dvc", folder=folder).stdout.splitlines()
    outs = [(folder / pin).parent / out["path"] for pin in pins for out in read_yaml(folder / pin).get("outs", [])]
    named = {value for value in flattened(params).values() if value}
    return sorted(value for value in named if any((folder / value).is_relative_to(out) for out in outs))


def _check_recorded(then: dict[str, Any], address: str) -> None:
    lacking = [name for name in ("params", "weights_sha256", "determinism") if not then[name]]
    if lacking:
        raise TidemillError(
            f"the lineage of {address} does not record its {', '.join(lacking)}: it cannot be made again"
        )


def _check_untracked(then: dict[str, Any], address: str) -> None:
    """Refuse a version whose stages read a file that git did not know: nobody kept it."""
    read = {dep["path"] for stage in then["dvc"]["stages"].values() for dep in stage.get("deps", [])}
    lost = [path for path in then["code"]["untracked"] if _covered(path, read)]
    if lost:
        raise TidemillError(
            f"{address} was made from a dirty tree, with files that git did not know ({', '.join(lost)}): "
            "it cannot be made again exactly"
        )


def _covered(path: str, read: Iterable[str]) -> bool:
    return any(path == one or path.startswith(f"{one}/") for one in read)


def _other_device(weights: Path, then: dict[str, Any], told: list[str]) -> list[str]:
    """What it was trained on this time, if that is something else and was not told before."""
    device = read_json(weights.with_name(CONFIG)).get("device")
    line = f"device {device} (then {then['device']})"
    return [line] if then["device"] not in (None, device) and line not in told else []


def _distance(version: Version, weights: Path) -> float | None:
    with version.file(REGISTERED_WEIGHTS) as registered:
        return verdict.distance(registered, weights)


def _notes(then: dict[str, Any]) -> list[str]:
    dirty = ["it was made from a dirty tree: its stored difference was applied"] if then["code"]["diff"] else []
    return dirty + environment.notes(then)
