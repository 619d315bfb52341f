"""A clean copy of the project as it is committed: a git worktree that shares DVC's cache and remotes with it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

from dvc.repo import Repo

from tidemill.errors import TidemillError

COPIES = Path(".dvc/tmp/exps")
"""Where DVC keeps its own copies; a stage that runs in one records what it makes in the project itself."""
CHECKPOINTS = Path(".tidemill/checkpoints")


@contextmanager
def clean_worktree(name: str) -> Iterator[None]:
    """Work in a copy of HEAD, on no branch; it goes when the block ends, however it ends.

    The caller sees to it that nobody else uses the same name at the same time.
    """
    root = Path.cwd()
    folder = root / COPIES / name
    _remove(folder)  # left by one that was killed
    git("worktree", "add", "--quiet", "--detach", str(folder), "HEAD")
    path = os.environ.get("PYTHONPATH")
    try:
        _share(root, folder, name)
        os.environ["PYTHONPATH"] = str(folder / "src")  # the stages' code is that of the commit as well
        with chdir(folder):
            yield
    finally:
        if path is None:
            os.environ.pop("PYTHONPATH", None)
        else:
            os.environ["PYTHONPATH"] = path
        _remove(folder)


def git(*arguments: str) -> str:
    """Run git, without hooks; return what it prints.

    Raises:
        TidemillError: it failed.
    """
    command = ["git", "-c", f"core.hooksPath={os.devnull}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise TidemillError(f"git {arguments[0]}: {' '.join(done.stderr.split()) or done.returncode}")
    return done.stdout.strip()


def _share(root: Path, folder: Path, name: str) -> None:
    """Let the copy use the project's cache, remotes and, after a kill, the checkpoints of the copy before it."""
    own = root / ".dvc" / "config.local"
    if own.exists():
        shutil.copy(own, folder / ".dvc")
    with Repo(str(root)) as project, Repo(str(folder)) as copy, copy.config.edit("local") as local:
        local["cache"]["dir"] = project.cache.local_cache_dir
        for remote, settings in project.config["remote"].items():
            local["remote"].setdefault(remote, {})["url"] = str(settings["url"])  # no longer relative to the project
    checkpoints = root / ".tidemill" / name
    checkpoints.mkdir(parents=True, exist_ok=True)
    (folder / CHECKPOINTS.parent).mkdir()
    (folder / CHECKPOINTS).symlink_to(checkpoints, target_is_directory=True)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    git("worktree", "prune")
