"""What DVC does anew for every stage, and needs to do only once: in the processes that run stages, with the same result.

A `dvc repro` of many stages spends most of a short stage's time on these, and more with every stage of the graph.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from flows import lockfile
from flows.dvc_internals import (
    AbstractDependency,
    Lockfile,
    RepoDependency,
    Tqdm,
    gitignore,
    path_locks,
    to_lockfile,
)


def apply() -> None:
    """Change DVC in this process."""
    _write_lock_entries_alone()
    change_locks()
    gitignore.Pattern = cache(gitignore.Pattern)  # a line of `.gitignore`; each takes a tenth of a millisecond


def start_no_thread() -> None:
    """Let DVC show its progress without a thread that watches over it: this process is to be forked, which takes one."""
    Tqdm.monitor_interval = 0


def keep_what_no_stage_changes(repo: Any) -> None:
    """Keep DVC's settings and its database of hashes open where it gives up its lock for a stage's command."""

    def reset() -> None:
        repo.scm._reset()
        for name in ("index", "dvcignore"):
            repo.__dict__.pop(name, None)

    repo._reset = reset


def _write_lock_entries_alone() -> None:
    """Have DVC write the entry of a stage into dvc.lock without parsing and writing those of all others."""
    original = Lockfile.dump_stages

    def dump_stages(file: Any, stages: list[Any], **options: Any) -> None:
        path = Path(file.path)
        left = [
            stage for stage in stages if not lockfile.put(path, stage.name, to_lockfile(stage, **options)[stage.name])
        ]
        if left:
            original(file, left, **options)
        else:
            file.repo.scm_context.track_file(file.relpath)

    Lockfile.dump_stages = dump_stages


@contextmanager
def reading(repo: Any, stages: Sequence[Any]) -> Iterator[None]:
    """Lock all that these stages read and write against those that write it, at once instead of stage by stage.

    Raises:
        LockError: another process is writing some of it.
    """
    change_locks()
    paths = {
        item.fs_path
        for stage in stages
        for item in (*stage.deps, *stage.outs)
        if not isinstance(item, RepoDependency | AbstractDependency)
    }
    hardlink = repo.config["core"].get("hardlink_lock", False)
    _forget_the_dead(repo, hardlink)
    with path_locks.rwlock(repo.tmp_dir, repo.fs, "tidemill", sorted(paths), [], hardlink):
        yield


def _forget_the_dead(repo: Any, hardlink: bool) -> None:
    """Take what killed processes have locked out of DVC's list; DVC itself does so only of what it has to wait for."""
    with path_locks._edit_rwlock(repo.tmp_dir, repo.fs, hardlink) as locked:
        for path, readers in list(locked["read"].items()):
            locked["read"][path] = [reader for reader in readers if psutil.pid_exists(reader["pid"])]
            if not locked["read"][path]:
                del locked["read"][path]
        for path, writer in list(locked["write"].items()):
            if not psutil.pid_exists(writer["pid"]):
                del locked["write"][path]


class _WritesWhole:
    """Files for DVC's list of what is locked: one that a kill leaves half-written would stop all that comes after."""

    def __init__(self, files: Any) -> None:
        self._files = files

    def join(self, *parts: str) -> str:
        return str(self._files.join(*parts))

    @contextmanager
    def open(self, path: str, mode: str = "r", **options: Any) -> Iterator[Any]:
        """Open a file as DVC does; what is written is there once the block ends, all at once."""
        target = f"{path}.partial" if mode == "w" else path
        with self._files.open(target, mode, **options) as stream:
            yield stream
        if target != path:
            os.replace(target, path)


@cache
def change_locks() -> None:
    """Change how DVC locks files in this process."""
    _write_list_of_locks_whole()
    _lock_paths_once()


def _write_list_of_locks_whole() -> None:
    """Have DVC write its list of what is locked beside the old one, and put it in its place."""
    original = path_locks._edit_rwlock
    path_locks._edit_rwlock = lambda folder, files, hardlink: original(folder, _WritesWhole(files), hardlink)


def _lock_paths_once() -> None:
    """Have DVC lock the files of a stage once; it does so again for each step within, which changes nothing."""
    original = path_locks.rwlock
    read_here: set[str] = set()
    written_here: set[str] = set()

    @contextmanager
    def rwlock(
        tmp_dir: str, fs: Any, cmd: str, read: Sequence[str], write: Sequence[str], hardlink: bool
    ) -> Iterator[None]:
        more_read = [path for path in read if path not in read_here and path not in written_here]
        more_write = [path for path in write if path not in written_here]
        if not more_read and not more_write:
            yield
            return
        with original(tmp_dir, fs, cmd, more_read, more_write, hardlink):
            read_here.update(more_read)
            written_here.update(more_write)
            try:
                yield
            finally:
                read_here.difference_update(more_read)
                written_here.difference_update(more_write)

    path_locks.rwlock = rwlock
