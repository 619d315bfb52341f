"""What DVC does anew for every stage, and needs to do only once: in the processes that run stages, with the same result.

A `dvc repro` of many stages spends most of a short stage's time on these, and more with every stage of the graph.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from flows import lockfile
from flows.dvc_internals import Lockfile, gitignore, path_locks, to_lockfile


def apply() -> None:
    """Change DVC in this process."""
    _write_lock_entries_alone()
    _lock_paths_once()
    gitignore.Pattern = cache(gitignore.Pattern)  # a line of `.gitignore`; each takes a tenth of a millisecond


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


def _lock_paths_once() -> None:
    """Have DVC lock the files of a stage once; it does so again for each step within, which changes nothing."""
    original = path_locks.rwlock
    reading: set[str] = set()
    writing: set[str] = set()

    @contextmanager
    def rwlock(
        tmp_dir: str, fs: Any, cmd: str, read: Sequence[str], write: Sequence[str], hardlink: bool
    ) -> Iterator[None]:
        more_read = [path for path in read if path not in reading | writing]
        more_write = [path for path in write if path not in writing]
        if not more_read and not more_write:
            yield
            return
        with original(tmp_dir, fs, cmd, more_read, more_write, hardlink):
            reading.update(more_read)
            writing.update(more_write)
            try:
                yield
            finally:
                reading.difference_update(more_read)
                writing.difference_update(more_write)

    path_locks.rwlock = rwlock
