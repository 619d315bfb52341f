"""DVC's records as a serial `dvc repro` would leave them, whatever order stages that run at once end in.

DVC puts a new entry at the end of its file: of `dvc.lock` where a stage has run, of a `.gitignore` where an output is
new. What was there before a run stays as it is, to the byte; what the run has added is put in the plan's order.
"""

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from flows import lockfile
from flows.graph import Plan, repository

JOURNAL = Path(".dvc", "tmp", "flow", "records.json")
"""What the records held before a run, for the next one if this is killed: `{"dvc.lock": names, ".gitignore": text}`."""


@contextmanager
def serial_records(plan: Plan) -> Iterator[None]:
    """Leave DVC's records in the plan's order. What a run that was killed has left unsorted is sorted as well."""
    order: dict[Path, list[str]] = {}
    for stage in plan.values():
        for path, entry in stage.records:
            order.setdefault(path, []).append(entry)
    with repository() as repo:
        journal = Path(repo.root_dir) / JOURNAL
        before = {path: _content(path) for path in order} | _left_by_a_killed_run(journal)
        _write_journal(journal, before)
    try:
        yield
    finally:
        with repository():
            for path, names in order.items():
                _sort_new(path, before[path], names)
            journal.unlink(missing_ok=True)


def sort_what_a_killed_run_left(plan: Plan) -> None:
    """Sort the records where a run that was killed has left nothing to run, but has not sorted what its stages added."""
    with repository() as repo:
        journal = Path(repo.root_dir) / JOURNAL
    if journal.exists():
        with serial_records(plan):
            pass


def _left_by_a_killed_run(journal: Path) -> dict[Path, str]:
    """Return what the records held before it."""
    try:
        return {Path(path): str(content) for path, content in json.loads(journal.read_bytes()).items()}
    except (OSError, ValueError, AttributeError):
        return {}


def _write_journal(journal: Path, before: dict[Path, str]) -> None:
    journal.parent.mkdir(parents=True, exist_ok=True)
    partial = journal.with_suffix(".partial")
    partial.write_text(json.dumps({str(path): content for path, content in before.items()}), encoding="utf-8")
    os.replace(partial, journal)


def _content(path: Path) -> str:
    """Return a record as text; bytes that are no UTF-8 survive as well."""
    return path.read_bytes().decode("utf-8", "surrogateescape") if path.exists() else ""


def _sort_new(path: Path, before: str, order: Sequence[str]) -> None:
    if path.suffix == ".lock":
        _sort_lock(path, before, order)
    else:
        _sort_ignored(path, before, order)


def _sort_lock(path: Path, before: str, order: Sequence[str]) -> None:
    entries, old = lockfile.read(path), lockfile.parse(before)
    if entries is None or old is None:
        return
    new = [line for line in entries if line not in old]
    kept = [line for line in entries if line in old]
    wanted = [*kept, *_sorted(new, lockfile.first_lines(order))]
    if wanted != list(entries):
        lockfile.write(path, {line: entries[line] for line in wanted})


def _sort_ignored(path: Path, before: str, order: Sequence[str]) -> None:
    """Sort the lines that DVC has put after the old text; where that is no longer there, somebody is editing the file."""
    text = _content(path)
    head = before if before.endswith("\n") or not before else before + "\n"
    if not text.startswith(head):
        return
    lines = re.findall("[^\n]*\n", text.removeprefix(head))
    names = {re.sub(r"\\(.)", r"\1", line.rstrip("\n")): line for line in lines}  # DVC escapes what Git would match
    wanted = head + "".join(_sorted(lines, [names[name] for name in order if name in names]))
    if len(wanted) == len(text) and wanted != text:
        path.write_bytes(wanted.encode("utf-8", "surrogateescape"))


def _sorted(found: list[str], order: Sequence[str]) -> list[str]:
    """Sort what is in `order`; all else stays in its place."""
    ranks = {name: rank for rank, name in enumerate(order)}
    ranked = iter(sorted((name for name in found if name in ranks), key=ranks.__getitem__))
    return [next(ranked) if name in ranks else name for name in found]
