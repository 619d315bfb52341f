"""Clearing DVC's storage without losing what a registered version needs.

DVC's `gc` keeps what commits use. A version needs more: its commit pins its raw data, but the hashes of its tables and
weights came into `dvc.lock` only after that commit, and may stand in none. So both are written into a small DVC project
that `gc` is told to keep as well.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ruamel.yaml import YAML

from tidemill.core.errors import TidemillError
from tidemill.core.files import write_json
from tidemill.registry.history import Version
from tidemill.repository import dvc
from tidemill.repository.git import git

TIPS = ("--workspace", "--all-branches", "--all-tags", "--all-experiments")
"""Whatever these revisions of the repository use is kept."""

HASHED = ("md5", "size", "nfiles", "hash", "isexec")
"""Fields that DVC writes of an output, except its path."""

Outs = list[dict[str, Any]]


def needed(version: Version) -> Outs:
    """Return DVC's entries of all outputs that a version was made from, raw data and intermediate ones.

    Raises:
        TidemillError: its commit is not in this repository, so that its raw data is not known.
    """
    commit, stages = version.lineage["code"]["commit"], version.lineage["dvc"]["stages"]
    pinned = [] if commit is None else _pinned(commit, version.address)
    made = [out for stage in stages.values() for out in stage.get("outs", [])]
    return [{name: out[name] for name in HASHED if name in out} for out in pinned + made if out.get("md5")]


@contextmanager
def kept(outs: Outs, project: Path) -> Iterator[Path]:
    """Create a temporary DVC project that uses these outputs, with the cache and the remotes of the project."""
    with TemporaryDirectory(prefix="tidemill-kept-") as scratch:
        folder = Path(scratch)
        git("init", "--quiet", folder=folder)
        dvc.output("init", "--quiet", folder=folder)
        dvc.share(project, folder)
        placed = [out | {"path": f"kept/{place}"} for place, out in enumerate(outs)]
        if placed:
            write_json(folder / "kept.dvc", {"outs": placed})  # JSON is YAML
        yield folder


def collect(outs: Outs, project: Path, cloud: bool, dry: bool) -> list[str]:
    """Let DVC remove what neither a tip of the repository nor an entry of `outs` uses; return what DVC prints.

    Args:
        cloud: in the default remote as well.
        dry: only list what would be removed.
    """
    scope = [*TIPS, *(["--cloud"] if cloud else []), *(["--dry"] if dry else [])]
    with kept(outs, project) as folder:
        printed = dvc.output("gc", "--force", *scope, "--projects", str(folder), folder=project)
    return [line for line in printed.splitlines() if line.strip()]


def _pinned(commit: str, address: str) -> Outs:
    """Return the outputs of every `.dvc` file at a commit."""
    listed = git("ls-tree", "-r", "-z", "--name-only", commit)
    if listed.returncode:
        raise TidemillError(
            f"{address}: this repository lacks its commit {commit}, which pins its raw data: `git fetch --all`; "
            "nothing was removed"
        )
    pins = [path for path in listed.stdout.split("\0") if path.endswith(".dvc")]
    documents = [YAML(typ="safe").load(git("show", f"{commit}:{pin}").stdout) for pin in pins]
    return [out for document in documents for out in document.get("outs", [])]
