"""What a version was made from: code, data, params, environment, weights and test set, as one JSON document.

The document follows `docs/reference/lineage.schema.json`. Neither DVC nor git is required: what cannot be known is null.
"""

import fcntl
import hashlib
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from tidemill.core.files import sha256_file
from tidemill.registry import licences
from tidemill.registry.documents import check_types, read_object
from tidemill.registry.lineage_types import Lineage
from tidemill.repository.git import git
from tidemill.tracking import tags

SCHEMA_VERSION = 3

TOLERANCES = {"bitwise": 0.0, "tolerance": 0.01, "fast": None}
"""By tier of determinism, how far the weights of a repetition may be from the first: the norm of the difference over
the norm of the weights. None promises nothing."""

LOCK = Path("dvc.lock")
"""Written by the very run that the lineage describes: a change of it does not make the tree dirty."""

DECISIONS = Path("decisions")
KEYS = Path("keys")
IGNORED = (LOCK, DECISIONS, KEYS)
"""Changes that do not make the tree dirty: Tidemill writes these itself, and no stage reads the last two."""

PACKAGES = (
    "tidemill",
    "torch",
    "pytorch-lightning",
    "opacus",
    "transformers",
    "tokenizers",
    "safetensors",
    "scikit-learn",
    "numpy",
    "pandas",
)
"""Packages whose version affects the weights."""

NOT_RECORDED: dict[str, Any] = {
    "schema_version": None,
    "system": None,
    "code": {"commit": None, "dirty": None, "diff": None, "untracked": {}, "experiment": None},
    "dvc": {"lock_sha256": None, "stages": {}},
    "data": {},
    "sources": {},
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
    "privacy": None,
    "weights_sha256": None,
    "test_set": {"sha256": None, "rows": None},
    "run_id": None,
    "parent_run_id": None,
    "flow_run_id": None,
}
"""An empty lineage, in today's schema."""

FLOW_RUN_VARIABLES = ("PREFECT__FLOW_RUN_ID", "TIDEMILL_FLOW_RUN_ID")


def collect(
    name: str,
    params: dict[str, Any],
    config: dict[str, Any],
    evaluation: dict[str, Any],
    weights_sha256: str,
    run_id: str,
    parent_run_id: str | None = None,
) -> dict[str, Any]:
    """Collect the lineage of a version made in the working folder.

    Args:
        name: the system.
        params: its blocks, as they stand in `params.yaml`.
        config: `config.json` of the model, which has the params of its training with their defaults, and its device.
        evaluation: `evaluation.json`, which has the test set and the seed of its intervals.
        weights_sha256: hash of `model.safetensors`.
        run_id: its MLflow run.
        parent_run_id: the MLflow run that this one is part of, as of a sweep.
    """
    records = _records(LOCK)
    entries = _entries(name, records)
    training, test_set = config["training"], evaluation["test_set"]
    return {
        "schema_version": SCHEMA_VERSION,
        "system": name,
        "code": code(),
        "dvc": {"lock_sha256": records and hashlib.sha256(records).hexdigest(), "stages": entries},
        "data": data_hashes(entries, source_path(params)),
        "sources": licences.sources(params),
        "params": params,
        "environment": environment(),
        "seeds": {"training": training["seed"], "evaluate": evaluation["bootstrap"]["seed"]},
        "determinism": training["determinism"],
        "tolerance": TOLERANCES[training["determinism"]],
        "device": config.get("device"),
        "privacy": config.get("privacy"),
        "weights_sha256": weights_sha256,
        "test_set": {"sha256": test_set["sha256"], "rows": test_set["rows"]},
        "run_id": run_id,
        "parent_run_id": parent_run_id,
        "flow_run_id": next((os.environ[v] for v in FLOW_RUN_VARIABLES if os.environ.get(v)), None),
    }


def read(path: Path) -> dict[str, Any]:
    """Read the lineage of a version, in today's schema.

    Raises:
        TidemillError: it cannot be read, or a part is of another type than it must be.
    """
    found = upgraded(read_object(path, path.name))
    check_types(found, Lineage, path.name)
    return found


def upgraded(document: dict[str, Any]) -> dict[str, Any]:
    """Return a lineage in today's schema: what an older one did not record is null or empty, or follows from the rest."""
    known = NOT_RECORDED | {"tolerance": TOLERANCES.get(document.get("determinism", ""))} | document
    parts = ((name, empty) for name, empty in NOT_RECORDED.items() if isinstance(empty, dict))
    return known | {name: empty | known[name] for name, empty in parts if isinstance(known[name], dict)}


def source_path(params: dict[str, Any]) -> str:
    """Return the path of the raw data, from the params of a lineage; empty where they do not record it."""
    return str(params.get("source", {}).get("path", ""))


def as_tags(lineage: dict[str, Any]) -> dict[str, str]:
    """Return what of a lineage is worth a search, as tags of a version."""
    found = {
        tags.COMMIT: lineage["code"]["commit"],
        tags.DIRTY: lineage["code"]["dirty"],
        tags.DVC_LOCK: lineage["dvc"]["lock_sha256"],
        tags.DATA: " ".join(lineage["data"].values()),
        tags.TEST_SET: lineage["test_set"]["sha256"],
        tags.WEIGHTS: lineage["weights_sha256"],
        tags.DETERMINISM: lineage["determinism"],
        tags.DEVICE: lineage["device"],
        tags.PARENT_RUN: lineage["parent_run_id"],
        tags.FLOW_RUN: lineage["flow_run_id"],
    }
    return {name: _tag(value) for name, value in found.items() if value not in (None, "")}


def code() -> dict[str, Any]:
    """Return the commit of the working folder and, if files differ from it, how they do.

    Files that git ignores do not count, nor do those that Tidemill writes itself (`IGNORED`). Untracked files are listed
    with their hash only: they may hold what should not be published.
    """
    commit = _git("rev-parse", "--verify", "HEAD")
    if commit is None:
        return {"commit": None, "dirty": None, "diff": None, "untracked": {}, "experiment": None}
    scope = ["--", ".", *(f":(exclude){path}" for path in IGNORED)]
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
    """Return the entries of `dvc.lock` that a system's version is made from: those of all stages before `register`."""
    return _entries(name, _records(lock))


def _records(lock: Path) -> bytes | None:
    """Read a `dvc.lock` while no other DVC command writes it; None if it is not there.

    DVC writes the file in place, under the lock of its repository, which it releases while the command of a stage runs.
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
    """Return the hash, as DVC writes it, of the raw source and of every table made from it, by path."""
    stage: dict[str, Any] = next((entry for key, entry in entries.items() if key.startswith("ingest@")), {})
    sources = [dep for dep in stage.get("deps", []) if Path(dep["path"]) == Path(source)]
    tables = [out for out in stage.get("outs", []) if out["path"].endswith(".parquet")]
    return {entry["path"]: f"{entry['hash']}:{entry[entry['hash']]}" for entry in sources + tables}


def environment() -> dict[str, Any]:
    """Return the lock files, the interpreter, the machine, and the versions of packages at work."""
    return {
        "locks": {path.as_posix(): sha256_file(path) for path in sorted(Path("requirements").glob("*.lock"))},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "processor": _processor(),
        "packages": {package: metadata.version(package) for package in PACKAGES},
    }


def _processor() -> str | None:
    """Return the processor's name: its vector instructions decide in which order torch adds the terms of a sum."""
    described = Path("/proc/cpuinfo")
    lines = described.read_text(encoding="utf-8").splitlines() if described.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or None)


def _tag(value: str | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else value


def _git(*arguments: str) -> str | None:
    """Return what git prints; None where there is no git, no repository, or no commit."""
    done = git(*arguments)
    return None if done.returncode else done.stdout


def _hash_if_there(path: Path) -> str | None:
    return sha256_file(path) if path.is_file() else None
