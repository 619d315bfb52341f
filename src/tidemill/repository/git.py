"""Git as a command, and a commit checked out in a folder of its own."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tidemill.core.errors import TidemillError

GIT = ("git", "-c", "core.quotepath=off", "-c", f"core.hooksPath={os.devnull}")
"""Paths are printed as they are, and no hook of the user's runs."""
SETTINGS = {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
MISSING = 127
"""Exit code of a shell that does not find the program."""


def git(*arguments: str, folder: Path = Path(), text: str | None = None) -> "subprocess.CompletedProcess[str]":
    """Run a git command to its end; the caller checks how it ended. Without git the exit code is 127.

    Args:
        folder: where to run it.
        text: its standard input.
    """
    command = [*GIT, *arguments]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            input=(text or "").encode(),
            capture_output=True,
            check=False,
            env=os.environ | SETTINGS,
        )
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, MISSING, "", "git is not installed")
    # Decoded here: subprocess's own text mode would turn the CRLF of a diff into LF.
    output, errors = (stream.decode("utf-8", errors="replace") for stream in (done.stdout, done.stderr))
    return subprocess.CompletedProcess(command, done.returncode, output, errors)


def output(*arguments: str, folder: Path = Path()) -> str:
    """Return what a git command prints, without the white space around it.

    Raises:
        TidemillError: the command failed.
    """
    done = git(*arguments, folder=folder)
    if done.returncode:
        raise TidemillError(f"git {arguments[0]}: {' '.join(done.stderr.split()) or f'exit code {done.returncode}'}")
    return done.stdout.strip()


@contextmanager
def worktree(folder: Path, commit: str = "HEAD", diff: str | None = None, keep: bool = False) -> Iterator[Path]:
    """Check a commit out in a new folder, on no branch; remove the folder when the block ends, however it ends.

    Args:
        folder: the new folder.
        commit: the commit, of the repository in the working folder.
        diff: a difference to the commit, applied to the folder.
        keep: leave the folder in place.

    Raises:
        TidemillError: the folder is taken, the commit is not in this repository, or the difference does not apply.
    """
    root = Path.cwd()  # the block may work in another folder
    git("worktree", "prune", folder=root)
    added = git("worktree", "add", "--quiet", "--detach", str(folder), commit, folder=root)
    if added.returncode:
        reason = (added.stderr.strip().splitlines() or [f"exit code {added.returncode}"])[-1]
        raise TidemillError(f"git cannot make a worktree in {folder}: {reason}")
    try:
        if diff and git("apply", "--whitespace=nowarn", folder=folder, text=diff).returncode:
            raise TidemillError(f"the stored difference does not apply to commit {commit}")
        yield folder
    finally:
        if not keep:
            remove_worktree(folder, root)


def remove_worktree(folder: Path, root: Path = Path()) -> None:
    """Remove a worktree, or what a killed process left of it.

    Args:
        folder: the worktree.
        root: a folder of the repository that it belongs to.
    """
    shutil.rmtree(folder, ignore_errors=True)
    git("worktree", "prune", folder=root)
