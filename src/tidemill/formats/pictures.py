"""Pictures in folders: `train|valid|test/<class>/`, or one folder for each class, split by hash."""

from pathlib import Path

import pandas as pd
from pydantic import Field

from tidemill.core.errors import TidemillError
from tidemill.core.params import Params
from tidemill.formats.common import files

SPLITS = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "val": "valid",
    "validation": "valid",
    "test": "test",
}
"""The split that a folder of this name holds."""
ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")


class Options(Params):
    """Which files are pictures."""

    endings: list[str] = Field(default=list(ENDINGS))
    """What the names of the files end with, in upper or lower case."""


bring = None
"""The files cannot be downloaded."""


def read(path: Path, options: Options) -> pd.DataFrame:
    """Read the files. Columns: `image` (bytes), `label` (the folder), `split` (where folders hold splits), `row`, `reason`.

    Raises:
        TidemillError: there are no pictures, or they are not in folders as above.
    """
    if not path.is_dir():
        raise TidemillError(
            f"{path} is not a folder; put pictures into {path.name}/<class>/ or {path.name}/train/<class>/"
        )
    found = [file for file in files.matching(path, "**/*") if file.suffix.lower() in options.endings]
    if not found:
        raise TidemillError(f"{path} holds no picture: none of its files ends in {', '.join(options.endings)}")
    rows = pd.DataFrame([_row(file, path) for file in found])
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
        "row": files.place(file, source),
        "reason": reason,
    }


def _check_splits(rows: pd.DataFrame, path: Path) -> None:
    """Refuse folders of splits next to folders of classes: a name could be either."""
    others = rows[rows["split"].isna()]
    if 0 < len(others) < len(rows):
        raise TidemillError(
            f"{path} holds both folders of splits and others: {others['row'].iloc[0]} is in none of "
            f"{', '.join(sorted(set(SPLITS)))}"
        )
