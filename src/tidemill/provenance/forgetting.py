"""Rows to forget: which versions have seen them, by the ids in the tables that these were made from, and the list itself."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from tidemill.core.errors import TidemillError
from tidemill.core.files import finished_file, sha256_file
from tidemill.core.params import PARAMS_FILE, read_block, read_system
from tidemill.registry import champion, history
from tidemill.registry.decision_log import earlier_champions
from tidemill.registry.history import Version
from tidemill.repository import dvc
from tidemill.rows import forgotten
from tidemill.rows.params import Ingest
from tidemill.rows.personal_data import treated
from tidemill.rows.splitting import identified
from tidemill.serving import layouts
from tidemill.sweeping.params_patch import replaced
from tidemill.tasks.common import rows as task_rows

if TYPE_CHECKING:
    from tidemill.registry.decision_entry import Entry

ID = re.compile(r"[0-9a-f]{16}")
LEARNED_FROM = ("train", "valid")
"""Splits that bear on the weights: training rows, and those by which the best epoch or setting is chosen."""
AT_ONCE = 1024


@dataclass(frozen=True)
class Seen:
    """What a version was made from of the rows to forget."""

    version: Version
    rows: dict[str, int] | None
    """How many of them it learned from, by split; None where its tables are in neither cache nor remote."""

    def __str__(self) -> str:
        named = f"{self.version.address}{''.join(f' ({alias})' for alias in self.version.aliases)}"
        if self.rows is None:
            return f"{named}: not known: its tables are in neither DVC's cache nor its remote"
        return f"{named}: {', '.join(f'{count} in {split}' for split, count in self.rows.items())}"


def ids_of(path: Path, task: str, ingest: Ingest) -> list[str]:
    """Return the ids of the rows that a file lists.

    Args:
        path: a text file with an id on each line; or a table with a column `id`, or with the texts themselves in the
            columns that the task reads.
        task: name of the task.
        ingest: the params by which the system's rows are cleaned: a text whose personal data are masked has the id of
            the masked one.

    Raises:
        TidemillError: the file cannot be read, holds no row, or what it names are no ids.
    """
    if not path.is_file():
        raise TidemillError(f"{path} is not there, or is no file")
    if path.suffix == ".txt":
        found = path.read_text(encoding="utf-8", errors="replace").split()
    else:
        found = [
            one for chunk in layouts.of(path, None).chunks(AT_ONCE) for one in _ids(chunk.rows, path, task, ingest)
        ]
    if not found:
        raise TidemillError(f"{path} names no row")
    if wrong := next((one for one in found if ID.fullmatch(one) is None), None):
        raise TidemillError(f"{path}: {wrong!r} is no id: an id has 16 hexadecimal digits, as in the ingested tables")
    return sorted(set(found))


def _ids(rows: pd.DataFrame, path: Path, task: str, ingest: Ingest) -> list[str]:
    if "id" in rows:
        return [str(one) for one in rows["id"]]
    part = task_rows.of(task)
    if missing := [name for name in part.INPUTS if name not in rows]:
        raise TidemillError(f"{path} has neither a column id nor {missing[0]}")
    if ingest.personal_data is not None:
        rows = treated(rows.assign(row=range(len(rows))), ingest.personal_data.model_copy(update={"action": "mask"}))
    try:
        return identified(rows, part.content(part.normalise(rows)))["id"].tolist()
    except KeyError as error:
        raise TidemillError(
            f"{path}: the rows of {task} are known by more than what it has: give a column id"
        ) from error


def seen(system: str, ids: Iterable[str], project: Path = Path()) -> list[Seen]:
    """Return the versions of a system that learned from any of the rows, or of which that is not known; oldest first."""
    wanted = frozenset(ids)
    versions = [version for version in history.every() if version.name == system]
    found = [Seen(version, _learned(version, wanted, project)) for version in versions]
    return [one for one in found if one.rows is None or any(one.rows.values())]


def _learned(version: Version, wanted: frozenset[str], project: Path) -> dict[str, int] | None:
    hashes = {Path(path).stem: digest for path, digest in version.lineage["data"].items()}
    counts = {}
    for split in LEARNED_FROM:
        if split not in hashes:
            return None
        with dvc.by_hash(hashes[split], project) as table:
            if table is None:
                return None
            counts[split] = int(pd.read_parquet(table, columns=["id"])["id"].isin(wanted).sum())
    return counts


def listed(system: str, ids: Iterable[str], params: Path = PARAMS_FILE) -> int:
    """Add ids to the list of a system, set its hash in `params.yaml`, and return how many were not in it before.

    Raises:
        TidemillError: the list is missing, or another one than the params name.
    """
    before = _list(system)
    after = sorted(before | set(ids))
    if len(after) == len(before):
        return 0
    target = forgotten.path(system)
    target.parent.mkdir(exist_ok=True)
    with finished_file(target) as partial:
        partial.write_text("\n".join(after) + "\n", encoding="utf-8")
    text = replaced(params.read_text(encoding="utf-8"), ["systems", system, "ingest", "forgotten"], sha256_file(target))
    with finished_file(params) as partial:
        partial.write_text(text, encoding="utf-8")
    return len(after) - len(before)


def notes(system: str, entries: Sequence["Entry"]) -> list[str]:
    """Return a line for each version in service, or that a rollback could return to, which saw rows to forget.

    Raises:
        TidemillError: as `listed`.
    """
    wanted = _list(system)
    if not wanted:
        return []
    numbers = dict.fromkeys(earlier_champions(entries), "a rollback could return to it")
    numbers |= {champion.served(entries) or "": "it is in service"}
    return [
        f"learned from rows to forget ({len(wanted)} in all): {one}; {numbers[number]}"
        for one in seen(system, wanted)
        if (number := str(one.version.entry.version)) in numbers
    ]


def _list(system: str) -> frozenset[str]:
    try:
        block = read_block(read_system(system), system, "ingest", Ingest)
    except TidemillError:  # a system of the registry that params.yaml no longer has
        return frozenset()
    return forgotten.read(system, block.forgotten)
