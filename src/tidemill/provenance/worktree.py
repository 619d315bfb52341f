"""The code of a version in a folder of its own: a clean git worktree at its commit, or with its stored difference."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tidemill.errors import TidemillError


@contextmanager
def worktree(code: dict[str, Any], address: str, folder: Path | None = None) -> Iterator[Path]:
    """A worktree of the repository in the working folder, at the commit of a lineage's `code`.

    Args:
        code: `commit`, and the `diff` to it if the version was made from a dirty tree.
        address: the version's, to name it.
        folder: where to make it and leave it; else it is temporary and goes when the block ends.

    Raises:
        TidemillError: the commit is not known or not here, the folder is taken, or the difference does not apply.
    """
    commit = code["commit"]
    if commit is None:
        raise TidemillError(f"{address} was made outside a git repository: nothing says of which code")
    if git("cat-file", "-e", f"{commit}^{{commit}}").returncode:
        raise TidemillError(
            f"{address}: this repository lacks its commit {commit}: `git fetch --all`, or clone it whole"
        )
    if folder is not None:
        _add(folder, code)
        yield folder
        return
    with TemporaryDirectory(prefix="tidemill-") as scratch:
        made = Path(scratch) / "worktree"
        try:
            _add(made, code)
            yield made
        finally:
            git("worktree", "remove", "--force", str(made))


def git(*arguments: str, folder: Path = Path(), text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a git command to its end; how it ended is for the caller to look at."""
    return subprocess.run(
        ["git", *arguments],
        cwd=folder,
        input=text,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"LC_ALL": "C"},
    )


def _add(folder: Path, code: dict[str, Any]) -> None:
    git("worktree", "prune")
    added = git("worktree", "add", "--quiet", "--detach", str(folder), code["commit"])
    if added.returncode:
        raise TidemillError(f"git cannot make a worktree in {folder}: {added.stderr.strip().splitlines()[-1]}")
    if code["diff"] and git("apply", "--whitespace=nowarn", folder=folder, text=code["diff"]).returncode:
        raise TidemillError(f"the stored difference does not apply to commit {code['commit']}")
