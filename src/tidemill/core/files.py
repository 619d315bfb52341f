"""Writing files so that a half-written one never stands where a finished one belongs."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import file_digest
from pathlib import Path
from typing import Any


@contextmanager
def finished_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder beside `folder`; its entries move into `folder` only if the block succeeds.

    Entries of the same name are replaced; others in `folder` stay. On any error nothing is left.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        folder.mkdir(parents=True, exist_ok=True)
        for entry in sorted(partial.iterdir()):
            _replace(entry, folder / entry.name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def finished_file(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to; it is renamed to `path` only if the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON that is the same, byte for byte, for the same value."""
    with finished_file(path) as partial:
        partial.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file written by an earlier stage."""
    return json.loads(path.read_text(encoding="utf-8"))


def sha256_file(path: Path) -> str:
    """Hash a file without holding it in memory."""
    with path.open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest()


def _replace(entry: Path, target: Path) -> None:
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    os.replace(entry, target)
