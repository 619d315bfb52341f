"""The worktree that unattended flows work in: a commit with the project's DVC storage, code and checkpoints.

What they make for people to look at is a new branch, which nobody has pushed.
"""

import os
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from filelock import FileLock, Timeout

from tidemill.core.errors import TidemillError
from tidemill.repository.dvc import fetch_outputs, share
from tidemill.repository.git import git, output, remove_worktree, worktree

COPIES = Path(".dvc/tmp/exps")
"""Where DVC keeps its own copies; a stage that runs in one records what it makes in the project itself."""
CHECKPOINTS = Path(".tidemill/checkpoints")
DATA = Path("data")


class BusyError(TidemillError):
    """Another process works in the worktree."""


@dataclass(frozen=True)
class Commit:
    """The commit that a flow works on."""

    digest: str
    """Its first twelve digits."""
    left_out: tuple[str, ...]
    """Files that differ in the project's own folder, which the flow does not see."""

    def __str__(self) -> str:
        if not self.left_out:
            return f"commit {self.digest}"
        files = ", ".join(self.left_out[:3]) + (f" and {len(self.left_out) - 3} more" if self.left_out[3:] else "")
        return f"commit {self.digest}, without the uncommitted changes of {files}"


@contextmanager
def clean_worktree(name: str, commit: str = "HEAD") -> Iterator[Commit]:
    """Work in a copy of a commit, on no branch; it is removed when the block ends, however it ends.

    Args:
        name: of the copy; one process at a time works in it.
        commit: a commit, branch or tag of the repository in the current folder.

    Raises:
        BusyError: another process works in the copy of this name.
        TidemillError: there is no such commit, or git does not know who commits.
    """
    root = Path.cwd()
    folder = root / COPIES / name
    found = resolved(commit)
    _check_identity()
    with _alone(root / ".tidemill" / f"{name}.lock", name):
        remove_worktree(folder)  # left by a process that was killed
        with worktree(folder, found.digest):
            share(root, folder)
            _link_checkpoints(root, folder, name)
            with _python_path(folder / "src"), chdir(folder):
                yield found


def resolved(name: str) -> Commit:
    """Return the commit that a commit, branch or tag names now.

    Raises:
        TidemillError: there is none.
    """
    found = git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    if found.returncode:
        raise TidemillError(f"there is no commit {name} in {Path.cwd()}: commit first, for this works on a commit")
    left_out = () if name != "HEAD" else output("diff", "--name-only", "HEAD").split("\n")
    return Commit(found.stdout[:12], tuple(filter(None, left_out)))


def fetch_data() -> None:
    """Fetch the data that the commit pins, from DVC's cache or its remote.

    Raises:
        TidemillError: neither has them.
    """
    pin = DATA.with_suffix(".dvc")
    if pin.exists():
        fetch_outputs(Path(), [str(pin)])


def commit_all(message: str) -> bool:
    """Commit what has changed in the worktree; return whether anything has."""
    output("add", "--all")
    changed = bool(output("status", "--porcelain"))
    if changed:
        output("commit", "--quiet", "--message", message)
    return changed


def waiting_branch(kind: str, commit: Commit) -> str | None:
    """Return a branch of the kind, not merged yet, that has all that the worktree changed since its commit."""
    output("add", "--all")
    changed = output("diff", "--cached", "--name-only", commit.digest).splitlines()
    branches = output(
        "branch", "--list", "--no-merged", commit.digest, "--format=%(refname:short)", f"{kind}/*"
    ).split()
    same = (one for one in branches if git("diff", "--cached", "--quiet", one, "--", *changed).returncode == 0)
    return next(same, None) if changed else None


def new_branch(kind: str) -> str:
    """Name the worktree's commit `<kind>/<date>`, with a number where there is such a branch."""
    day = f"{kind}/{date.today().isoformat()}"
    taken = output("branch", "--list", "--format=%(refname:short)", f"{day}*").split()
    names = [day, *(f"{day}-{number}" for number in range(2, len(taken) + 2))]
    branch = next(name for name in names if name not in taken)
    output("branch", branch)
    return branch


def _check_identity() -> None:
    """Fail before hours of training where git does not know who commits."""
    if git("var", "GIT_COMMITTER_IDENT").returncode:
        raise TidemillError("git does not know who commits: set `git config user.name NAME` and `user.email ADDRESS`")


@contextmanager
def _alone(lock: Path, name: str) -> Iterator[None]:
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(lock, timeout=0):
            yield
    except Timeout as error:
        raise BusyError(f"another {name} is running in {Path.cwd()}") from error


def _link_checkpoints(root: Path, folder: Path, name: str) -> None:
    """Keep the copy's checkpoints in the project: the copy that follows a killed one resumes from them."""
    kept = root / ".tidemill" / name
    kept.mkdir(parents=True, exist_ok=True)
    (folder / CHECKPOINTS.parent).mkdir()
    (folder / CHECKPOINTS).symlink_to(kept, target_is_directory=True)


@contextmanager
def _python_path(path: Path) -> Iterator[None]:
    """Let processes that start in the block import this path's code: that of the commit as well."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(path)
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
