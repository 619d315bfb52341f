"""Pictures in folders: `train|valid|test/<class>/`, or one folder a class that is split by hash."""

from pathlib import Path

import pandas as pd
from pydantic import Field

from tidemill.config import Params
from tidemill.data.formats import _files
from tidemill.errors import TidemillError

SPLITS = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "val": "valid",
    "validation": "valid",
    "test": "test",
}
"""Names of folders that hold a split."""
ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")


class Options(Params):
    """Which files are pictures."""

    endings: list[str] = Field(default=list(ENDINGS))
    """In either case."""


def read(path: Path, options: Options) -> pd.DataFrame:
    """Columns: `image` (the bytes of the file), `label` (its folder), `split` (where folders hold splits), `row`, `reason`.

    Raises:
        TidemillError: there are no pictures, or they do not stand in folders as above.
    """
    if not path.is_dir():
        raise TidemillError(
            f"{path} is no folder; pictures stand in {path.name}/<class>/ or {path.name}/train/<class>/"
        )
    files = [file for file in _files.matching(path, "**/*") if file.suffix.lower() in options.endings]
    if not files:
        raise TidemillError(f"{path} holds no picture: none of its files ends in {', '.join(options.endings)}")
    rows = pd.DataFrame([_row(file, path) for file in files])
    _check_splits(rows, path)
    return rows


def _row(file: Path, source: Path) -> dict[str, object]:
    folders = file.relative_to(source).parent.parts
    split = SPLITS.get(folders[0].lower()) if folders else None
    classes = folders[1:] if split else folders
    content = file.read_bytes()
    reason = None if content else "the file is empty"
    return {
        "image": content,
        "label": "/".join(classes) or None,
        "split": split,
        "row": _files.place(file, source),
        "reason": reason,
    }


def _check_splits(rows: pd.DataFrame, path: Path) -> None:
    """Folders of splits and of classes side by side would make a class of each split's name, or lose one."""
    beside = rows[rows["split"].isna()]
    if 0 < len(beside) < len(rows):
        raise TidemillError(
            f"{path} holds both folders of splits and others: {beside['row'].iloc[0]} is in none of "
            f"{', '.join(sorted(set(SPLITS)))}"
        )
