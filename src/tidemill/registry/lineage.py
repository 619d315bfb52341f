"""What a version was made from: code, data, params, environment, weights and test set, as one JSON document.

The document follows `docs/reference/lineage.schema.json`. Nothing here needs DVC or git to be there: what cannot be
known is null.
"""

import fcntl
import hashlib
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from tidemill.config import System
from tidemill.files import sha256_file

SCHEMA_VERSION = 2

TOLERANCES = {"bitwise": 0.0, "tolerance": 0.01, "fast": None}
"""By tier of determinism, how far the weights of a repetition may be from the first: the norm of the difference over
the norm of the weights. Null promises nothing."""

LOCK = Path("dvc.lock")
"""Written by the very run that lineage describes, so that a change of it is no dirt."""

DECISIONS = Path("decisions")
KEYS = Path("keys")
NO_DIRT = (LOCK, DECISIONS, KEYS)
"""Written by Tidemill itself, and what is under the last two is read by no stage."""

PACKAGES = ("tidemill", "torch", "pytorch-lightning", "transformers", "tokenizers", "safetensors", "numpy", "pandas")
"""Packages whose version bears on the weights."""

NOT_RECORDED: dict[str, Any] = {
    "schema_version": None,
    "system": None,
    "code": {"commit": None, "dirty": None, "diff": None, "untracked": {}, "experiment": None},
    "dvc": {"lock_sha256": None, "stages": {}},
    "data": {},
    "params": {},
    "environment": {
        "locks": {},
        "python": None,
        "platform": None,
        "machine": None,
        "processor": None,
        "packages": {},
    },
    "seeds": {},
    "determinism": None,
    "tolerance": None,
    "device": None,
    "weights_sha256": None,
    "test_set": {"sha256": None, "rows": None},
    "run_id": None,
    "parent_run_id": None,
    "flow_run_id": None,
}
"""A lineage that says nothing, in the form of today."""

FLOW_RUN_VARIABLES = ("PREFECT__FLOW_RUN_ID", "TIDEMILL_FLOW_RUN_ID")


def collect(
    name: str,
    system: System,
    weights_sha256: str,
    test_set: dict[str, Any],
    device: str | None,
    run_id: str,
    parent_run_id: str | None = None,
) -> dict[str, Any]:
    """The lineage of a version made in the working folder.

    Args:
        name: the system.
        system: its params.
        weights_sha256: hash of `model.safetensors`.
        test_set: `sha256` and `rows` of the test set it was evaluated on.
        device: what it was trained on, e.g. `cpu`.
        run_id: its MLflow run.
        parent_run_id: the MLflow run that this one is part of, as of a sweep.
    """
    records = _records(LOCK)
    entries = _entries(name, records)
    return {
        "schema_version": SCHEMA_VERSION,
        "system": name,
        "code": code(),
        "dvc": {"lock_sha256": records and hashlib.sha256(records).hexdigest(), "stages": entries},
        "data": data_hashes(entries, system.source.path),
        "params": system.model_dump(mode="json", by_alias=True),
        "environment": environment(),
        "seeds": {"training": system.training.seed, "evaluate": system.evaluate.seed},
        "determinism": system.training.determinism,
        "tolerance": TOLERANCES[system.training.determinism],
        "device": device,
        "weights_sha256": weights_sha256,
        "test_set": {"sha256": test_set["sha256"], "rows": test_set["rows"]},
        "run_id": run_id,
        "parent_run_id": parent_run_id,
        "flow_run_id": next((os.environ[v] for v in FLOW_RUN_VARIABLES if os.environ.get(v)), None),
    }


def of_today(document: dict[str, Any]) -> dict[str, Any]:
    """A lineage in the form of today: what an older form did not record is null or empty, or follows from the rest."""
    known = NOT_RECORDED | {"tolerance": TOLERANCES.get(document.get("determinism", ""))} | document
    parts = ((name, empty) for name, empty in NOT_RECORDED.items() if isinstance(empty, dict))
    return known | {name: empty | known[name] for name, empty in parts}


def tags(lineage: dict[str, Any]) -> dict[str, str]:
    """What of a lineage is worth a search, as tags of a version."""
    found = {
        "commit": lineage["code"]["commit"],
        "dirty": lineage["code"]["dirty"],
        "dvc_lock_sha256": lineage["dvc"]["lock_sha256"],
        "data": " ".join(lineage["data"].values()),
        "test_sha256": lineage["test_set"]["sha256"],
        "weights_sha256": lineage["weights_sha256"],
        "determinism": lineage["determinism"],
        "device": lineage["device"],
        "parent_run_id": lineage["parent_run_id"],
        "flow_run_id": lineage["flow_run_id"],
    }
    return {f"tidemill.{name}": _tag(value) for name, value in found.items() if value not in (None, "")}


def code() -> dict[str, Any]:
    """The commit of the working folder; if files differ from it, that they do, and how.

    Files that git ignores do not count, nor does what Tidemill writes itself: `NO_DIRT`. Files that git does not know are named with their hash only:
    they may hold what should not be spread.
    """
    commit = _git("rev-parse", "--verify", "HEAD")
    if commit is None:
        return {"commit": None, "dirty": None, "diff": None, "untracked": {}, "experiment": None}
    scope = ["--", ".", *(f":(exclude){path}" for path in NO_DIRT)]
    diff = _git("diff", "--binary", "HEAD", *scope)
    listed = _git("ls-files", "-z", "--others", "--exclude-standard", *scope) or ""
    untracked = {path: _hash_if_there(Path(path)) for path in sorted(listed.split("\0")) if path}
    return {
        "commit": commit.strip(),
        "dirty": bool(diff or untracked),
        "diff": diff or None,
        "untracked": untracked,
        "experiment": os.environ.get("DVC_EXP_NAME"),
    }


def lock_entries(name: str, lock: Path = LOCK) -> dict[str, Any]:
    """The entries of `dvc.lock` that a system's version is made from: those of all its stages before `register`."""
    return _entries(name, _records(lock))


def _records(lock: Path) -> bytes | None:
    """The content of a `dvc.lock`, read while no other DVC command writes it; None if it is not there.

    DVC writes the file in place, under the lock of its repository, which it gives up while the command of a stage runs.
    """
    if not lock.exists():
        return None
    guard = lock.parent / ".dvc" / "tmp" / "lock"
    if not guard.exists():
        return lock.read_bytes()
    with guard.open() as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        return lock.read_bytes()


def _entries(name: str, records: bytes | None) -> dict[str, Any]:
    from ruamel.yaml import YAML

    stages = YAML(typ="safe").load(records).get("stages", {}) if records else {}
    own = {stage: entry for stage, entry in stages.items() if stage.endswith(f"@{name}")}
    return {stage: entry for stage, entry in own.items() if stage != f"register@{name}"}


def data_hashes(entries: dict[str, Any], source: str) -> dict[str, str]:
    """Hash, as DVC names it, of the raw source and of every table made from it, by path."""
    stage: dict[str, Any] = next((entry for key, entry in entries.items() if key.startswith("ingest@")), {})
    sources = [dep for dep in stage.get("deps", []) if Path(dep["path"]) == Path(source)]
    tables = [out for out in stage.get("outs", []) if out["path"].endswith(".parquet")]
    return {entry["path"]: f"{entry['hash']}:{entry[entry['hash']]}" for entry in sources + tables}


def environment() -> dict[str, Any]:
    """The locks, the interpreter, the machine, and the versions at work."""
    return {
        "locks": {path.as_posix(): sha256_file(path) for path in sorted(Path("requirements").glob("*.lock"))},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "processor": _processor(),
        "packages": {package: metadata.version(package) for package in PACKAGES},
    }


def _processor() -> str | None:
    """Name of the processor, whose kind of vector instructions decides in which order torch takes a sum."""
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text(encoding="utf-8").splitlines() if facts.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or None)


def _tag(value: str | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else value


def _git(*arguments: str) -> str | None:
    """What git answers; None where there is no git, no repository, or no commit."""
    command = ["git", "-c", "core.quotepath=off", *arguments]
    settings = os.environ | {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(command, capture_output=True, env=settings, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.decode("utf-8", errors="replace")


def _hash_if_there(path: Path) -> str | None:
    return sha256_file(path) if path.is_file() else None
