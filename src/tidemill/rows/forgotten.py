"""Rows that are to be forgotten: a list of their ids under git, whose hash stands in `params.yaml`.

By the hash the ingest stage runs again when the list has changed, and stops when it is not the one that is pinned.
"""

from pathlib import Path

import pandas as pd

from tidemill.core.errors import TidemillError
from tidemill.core.files import sha256_file

FOLDER = Path("forgotten")
REASON = "forgotten"
KNOWN = ["id", "reason", "kept", "split"]
"""What is kept of a forgotten row."""


def path(system: str) -> Path:
    """Return the list of a system."""
    return FOLDER / f"{system}.txt"


def read(system: str, sha256: str | None) -> frozenset[str]:
    """Return the ids of the rows that a system is to forget.

    Args:
        sha256: the hash of the list, as `ingest.forgotten` has it; null where there is none.

    Raises:
        TidemillError: the list is missing, or another one than the params name.
    """
    if sha256 is None:
        return frozenset()
    listed = path(system)
    if not listed.exists():
        raise TidemillError(f"{listed} is missing, which systems.{system}.ingest.forgotten names: it is under git")
    if (found := sha256_file(listed)) != sha256:
        raise TidemillError(
            f"{listed} has the sha256 {found}, but systems.{system}.ingest.forgotten is {sha256}: set the one it has"
        )
    return frozenset(listed.read_text(encoding="utf-8").split())


def without(rows: pd.DataFrame, ids: frozenset[str]) -> pd.DataFrame:
    """Give the rows to forget a reason; called when copies are gone, so that no near copy of one takes its place."""
    return rows.assign(reason=rows["reason"].mask(rows["id"].isin(ids), REASON))


def emptied(rejected: pd.DataFrame, ids: frozenset[str]) -> pd.DataFrame:
    """Return the rejected rows with nothing of those to forget, and of their near copies, but ids and reasons."""
    chosen = rejected["id"].isin(ids) | rejected["kept"].isin(ids)
    content = [name for name in rejected if name not in KNOWN]
    return rejected.assign(**{str(name): rejected[name].mask(chosen) for name in content}) if chosen.any() else rejected
