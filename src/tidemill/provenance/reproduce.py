"""Reproducing a registered version from the repository, DVC's storage and the registry alone."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tidemill.core.errors import TidemillError
from tidemill.core.files import read_json, sha256_file
from tidemill.core.params import flattened, read_yaml
from tidemill.models.common.networks import CONFIG, WEIGHTS
from tidemill.provenance import environment, origin, verdict
from tidemill.provenance.origin import Confirm
from tidemill.provenance.sandbox import Wanted, choose
from tidemill.provenance.stages import Log, run_again
from tidemill.registry.history import Version
from tidemill.registry.lineage import source_path
from tidemill.registry.versions import MODEL
from tidemill.repository import dvc
from tidemill.repository.git import git, worktree


def reproduce(
    version: Version,
    any_environment: bool,
    folder: Path | None,
    log: Log,
    confirm: Confirm = lambda _: False,
    wanted: Wanted = Wanted.AUTO,
) -> verdict.Verdict:
    """Train a version again from scratch in a clean worktree, and compare the weights.

    Its files are verified first. Its run goes into a tracking store inside the worktree: the registry is only read.

    Args:
        any_environment: continue in an environment that differs; the verdict lists what differs.
        folder: where to work and leave everything; otherwise a temporary folder.
        log: receives lines of progress, and first whose code will run.
        confirm: whether to run code that is not this branch's own, for the given reasons.
        wanted: which sandbox its code runs in.

    Raises:
        TidemillError: it cannot be reproduced, with the reason.
    """
    start, then, sandbox = time.monotonic(), version.lineage, choose(wanted)
    _check_recorded(then, version.address)
    _check_untracked(then, version.address)
    _check_code(then["code"], version.address)
    with version.opened() as found:
        origin.agree(then["code"], found.statement is not None, version.address, confirm, log)
    with checked_out(then["code"], version.address, folder) as made:
        log(f"{version.address}: commit {then['code']['commit'][:12]} in {made}")
        unlike = environment.differences(then, made / "requirements")
        if unlike and not any_environment:
            raise TidemillError(
                f"this environment is not that of {version.address}: {', '.join(unlike)}; run `make setup` in a checkout "
                f"of {then['code']['commit'][:12]} and its tidemill, or continue with --any-environment"
            )
        dvc.share(Path(), made)
        dvc.fetch_outputs(made, tracked(made, then["params"]))
        log(f"{version.address}: runs {sandbox.said}")
        entries = run_again(made, version.name, then["device"], log, sandbox)
        weights = made / "artifacts" / version.name / "train" / "model" / WEIGHTS
        unlike += _other_device(weights, then, unlike)
        now = sha256_file(weights)
        distance = 0.0 if now == then["weights_sha256"] else _distance(version, weights)
    read = verdict.differences(then["dvc"]["stages"], entries, version.name, source_path(then["params"]))
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
        notes=[*_notes(then), f"it ran {sandbox.said}"],
        seconds=round(time.monotonic() - start, 1),
    )


@contextmanager
def checked_out(code: dict[str, Any], address: str, folder: Path | None = None) -> Iterator[Path]:
    """Check out the code of a version, with its difference to the commit if it was made from a dirty tree.

    Args:
        code: `code` of its lineage.
        address: the version's, for messages.
        folder: where to check it out and leave it; otherwise a temporary folder.

    Raises:
        TidemillError: the commit is not recorded or not in this repository, the folder is taken, or the difference
            does not apply.
    """
    _check_code(code, address)
    commit, diff = code["commit"], code["diff"]
    if folder is not None:
        with worktree(folder, commit, diff, keep=True) as made:
            yield made
        return
    with TemporaryDirectory(prefix="tidemill-") as scratch, worktree(Path(scratch) / "worktree", commit, diff) as made:
        yield made


def tracked(folder: Path, params: dict[str, Any]) -> list[str]:
    """Return the paths in params that a `.dvc` file of a worktree tracks: raw data, and pretrained weights."""
    pins = git("ls-files", "*.dvc", folder=folder).stdout.splitlines()
    outs = [(folder / pin).parent / out["path"] for pin in pins for out in read_yaml(folder / pin).get("outs", [])]
    named = {value for value in flattened(params).values() if isinstance(value, str) and value}
    return sorted(value for value in named if any((folder / value).is_relative_to(out) for out in outs))


def _check_code(code: dict[str, Any], address: str) -> None:
    commit = code["commit"]
    if commit is None:
        raise TidemillError(f"{address} was made outside a git repository: its code is not recorded")
    if git("cat-file", "-e", f"{commit}^{{commit}}").returncode:
        raise TidemillError(
            f"{address}: this repository lacks its commit {commit}: `git fetch --all`, or clone it whole"
        )


def _check_recorded(then: dict[str, Any], address: str) -> None:
    lacking = [name for name in ("params", "weights_sha256", "determinism") if not then[name]]
    if lacking:
        raise TidemillError(
            f"the lineage of {address} does not record its {', '.join(lacking)}: it cannot be reproduced"
        )


def _check_untracked(then: dict[str, Any], address: str) -> None:
    """Refuse a version whose stages read an untracked file: nobody kept it."""
    read = {dep["path"] for stage in then["dvc"]["stages"].values() for dep in stage.get("deps", [])}
    lost = [path for path in then["code"]["untracked"] if _covered(path, read)]
    if lost:
        raise TidemillError(
            f"{address} was made from a dirty tree, with files that git did not track ({', '.join(lost)}): "
            "it cannot be reproduced exactly"
        )


def _covered(path: str, read: Iterable[str]) -> bool:
    return any(path == one or path.startswith(f"{one}/") for one in read)


def _other_device(weights: Path, then: dict[str, Any], known: list[str]) -> list[str]:
    """Return the device of this training, if it is another one and is not yet known to be."""
    device = read_json(weights.with_name(CONFIG)).get("device")
    line = f"device {device} (then {then['device']})"
    return [line] if then["device"] not in (None, device) and line not in known else []


def _distance(version: Version, weights: Path) -> float | None:
    with version.opened() as found:
        return verdict.distance(found.folder / MODEL / WEIGHTS, weights)


def _notes(then: dict[str, Any]) -> list[str]:
    dirty = ["it was made from a dirty tree: its stored difference was applied"] if then["code"]["diff"] else []
    return dirty + environment.notes(then)
