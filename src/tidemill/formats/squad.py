"""Questions about paragraphs in SQuAD's JSON, versions 1.1 and 2.0: `data` → `paragraphs` → `qas` → `answers`."""

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import Field

from tidemill.core.errors import TidemillError
from tidemill.core.params import Params
from tidemill.formats.common import decoding, files
from tidemill.formats.common.files import Split

COLUMNS = ["question", "context", "answers", "row", "reason"]


class Options(Params):
    """Which files are read, and how many of their rows."""

    files: str = "*.json*"
    """Which files of a folder."""
    splits: dict[Split, str] = Field(default={})
    """Which files hold which split, instead: `{train: train*.json, test: dev*.json}`."""
    limit: int | None = Field(default=None, ge=1)
    """Most questions read, always of whole paragraphs, which are chosen by their hashes."""


bring = None
"""The files cannot be downloaded."""


def read(path: Path, options: Options) -> pd.DataFrame:
    """Read the files. Columns: `question`, `context`, `answers` (a list of `{text, start}`, empty for no answer), `row`,
    `reason`, and `split` where the options name files for it."""
    found = files.split_files(path, options.files, options.splits)
    rows = pd.concat([_read_file(file, path, split) for file, split in found], ignore_index=True)
    return rows if options.limit is None else _limited(rows, options.limit)


def _read_file(file: Path, source: Path, split: str | None) -> pd.DataFrame:
    place = files.place(file, source)
    try:
        rows = pd.DataFrame(_rows(json.loads(files.read_bytes(file).decode("utf-8-sig")), place), columns=COLUMNS)
    except (ValueError, RecursionError) as error:
        raise TidemillError(f"{file} is not JSON in UTF-8: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise TidemillError(f"{file} is not in SQuAD's format: {type(error).__name__} {error} in its `data`") from error
    return rows.assign(split=split) if split else rows


def _rows(content: dict[str, Any], place: str) -> Iterator[dict[str, Any]]:
    for article in content["data"]:
        for paragraph in article["paragraphs"]:
            for asked in paragraph["qas"]:
                yield _row(paragraph["context"], asked, place)


def _row(context: str, asked: dict[str, Any], place: str) -> dict[str, Any]:
    answers = [{"text": answer["text"], "start": answer["answer_start"]} for answer in asked.get("answers") or []]
    texts = [asked["question"], context, *(answer["text"] for answer in answers)]
    row = f"{place}:{asked.get('id', '?')}"
    if any(decoding.SURROGATE.search(text) for text in texts):
        return {"question": "", "context": "", "answers": [], "row": row, "reason": "holds half of a surrogate pair"}
    return {"question": asked["question"], "context": context, "answers": answers, "row": row, "reason": None}


def _limited(rows: pd.DataFrame, limit: int) -> pd.DataFrame:
    hashes = rows["context"].map(lambda context: sha256(context.encode()).hexdigest())
    chosen = hashes.sort_values(kind="stable")
    last = chosen.iloc[min(limit, len(chosen)) - 1]
    return rows[hashes.lt(last) | (hashes.eq(last) & (limit >= hashes.le(last).sum()))].reset_index(drop=True)
