"""The worktree that retraining works in: the last commit with the project's DVC storage, code and checkpoints."""

import os
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

from tidemill.repository.dvc import share
from tidemill.repository.git import remove_worktree, worktree

COPIES = Path(".dvc/tmp/exps")
"""Where DVC keeps its own copies; a stage that runs in one records what it makes in the project itself."""
CHECKPOINTS = Path(".tidemill/checkpoints")


@contextmanager
def clean_worktree(name: str) -> Iterator[None]:
    """Work in a copy of HEAD, on no branch; it is removed when the block ends, however it ends.

    The caller makes sure that nobody else uses the same name at the same time.
    """
    root = Path.cwd()
    folder = root / COPIES / name
    remove_worktree(folder)  # left by a process that was killed
    with worktree(folder):
        share(root, folder)
        _link_checkpoints(root, folder, name)
        with _python_path(folder / "src"), chdir(folder):
            yield


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
