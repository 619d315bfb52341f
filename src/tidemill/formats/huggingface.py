"""A data set of the Hugging Face Hub: the Parquet files of a pinned revision, in a local folder."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from pydantic import Field

from tidemill.core.errors import TidemillError
from tidemill.core.files import finished_folder
from tidemill.core.params import Params
from tidemill.formats.common import files
from tidemill.formats.common.files import Split

CONVERTED = "refs/convert/parquet"
"""The branch where the Hub keeps a Parquet copy of data sets in other formats."""
SPLIT_WORDS: dict[str, Split] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "valid"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}
"""The split that a word in a file or folder name stands for, as the Hub reads it."""


class Options(Params):
    """Which data set, and which of its files."""

    dataset: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$|^[\w.-]+$")] | None = None
    """Its id on the Hub, `owner/name`; null where `source.path` holds the files already."""
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = None
    """The commit of the data set."""
    files: str = "**/*.parquet"
    """Which of its files: `plain_text/*.parquet` for one configuration."""
    splits: dict[Split, str] = Field(default={})
    """Which files hold which split, where their names do not tell."""


def bring(path: Path, options: Options) -> None:
    """Download the files into the folder `path`, all or none.

    Raises:
        TidemillError: no data set or revision is named, the Hub cannot be reached or has no such files.
    """
    if options.dataset is None or options.revision is None:
        raise TidemillError(f"{path} is missing: set source.options.dataset and .revision to download it")
    with finished_folder(path) as folder:
        _download(options.dataset, options.revision, options.files, folder)
        if not list(folder.rglob("*.parquet")):
            raise TidemillError(f"{options.dataset} at {options.revision} has no file that matches {options.files!r}")


def newest_revision(dataset: str) -> str:
    """Return the commit that holds the data set as Parquet files: of its main branch, or of the Hub's own copy.

    Raises:
        TidemillError: the Hub cannot be reached, or has no such data set.
    """
    from huggingface_hub import HfApi

    def info(revision: str | None) -> Any:
        return _ask(dataset, lambda: HfApi().dataset_info(dataset, revision=revision))

    newest = info(None)
    has_parquet = any(file.rfilename.endswith(".parquet") for file in newest.siblings or [])
    return str((newest if has_parquet else info(CONVERTED)).sha)


def read(path: Path, options: Options) -> pd.DataFrame:
    """Read the files. Columns: theirs, with classes as names and pictures as bytes; `row`, `split`."""
    found = files.split_files(path, options.files, options.splits)
    tables = [_read_file(file, path, split or named_split(files.place(file, path))) for file, split in found]
    return pd.concat(tables, ignore_index=True)


def named_split(place: str) -> Split | None:
    """Return the split that the last telling word of a path names: test for `plain_text/test-00000-of-00001.parquet`."""
    words = re.split(r"[^a-z]+", place.lower())
    return next((SPLIT_WORDS[word] for word in reversed(words) if word in SPLIT_WORDS), None)


def _read_file(file: Path, source: Path, split: str | None) -> pd.DataFrame:
    import pyarrow.parquet

    rows = files.parquet_rows(file, source, split)
    metadata = pyarrow.parquet.read_schema(file).metadata or {}
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}")).get("info", {}).get("features", {})
        for name, feature in features.items():
            if name in rows and isinstance(feature, dict):
                rows[name] = _decoded(rows[name], feature)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise TidemillError(
            f"{file}: the Hub's description of its columns is damaged ({type(error).__name__}: {error}); "
            "source.format parquet reads the file without it"
        ) from error
    return rows


def _decoded(values: "pd.Series[Any]", feature: dict[str, Any]) -> "pd.Series[Any]":
    match feature.get("_type"):
        case "ClassLabel":
            names = dict(enumerate(feature["names"]))
            return values.map(names).astype("str")  # -1 stands for no label
        case "Image":
            return values.map(lambda picture: picture["bytes"] if isinstance(picture, dict) else picture)
    return values


def _download(dataset: str, revision: str, wanted: str, folder: Path) -> None:
    from huggingface_hub import snapshot_download

    pattern = wanted.removeprefix("**/")
    _ask(
        dataset,
        lambda: snapshot_download(
            dataset, repo_type="dataset", revision=revision, allow_patterns=[pattern], local_dir=folder
        ),
    )
    shutil.rmtree(folder / ".cache", ignore_errors=True)


def _ask(dataset: str, request: Callable[[], Any]) -> Any:
    """Make a request to the Hub, with its telemetry off."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from httpx2 import HTTPError
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        return request()
    except (HTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        known = isinstance(error, HfHubHTTPError) and not isinstance(error, LocalEntryNotFoundError)
        reason = "has no such data set or revision" if known else "cannot be reached"
        raise TidemillError(
            f"{dataset}: the Hugging Face Hub {reason} ({' '.join(str(error).split())[:200]}); to use "
            "a folder with the data set's Parquet files instead, name it as source.path"
        ) from error
