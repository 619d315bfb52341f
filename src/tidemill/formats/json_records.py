"""JSON files that each hold a list of records, e.g. `[{"title": "…", "paragraphs": ["…", "…"]}, …]`."""

import binascii
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import Field

from tidemill.core.errors import TidemillError
from tidemill.core.params import Params
from tidemill.formats.common import files

FIELD = re.compile(r"{([^{}]+)}")


class Options(Params):
    """How records become rows."""

    files: str = "*.json*"
    """Which files of a folder."""
    records: str | None = None
    """The field of a file's object that holds the list, unless the file is the list itself."""
    base64: list[str] = Field(default=[])
    """Fields that hold bytes, such as a picture, in base64."""
    scores: list[str] = Field(default=[])
    """Fields that score each choice, `{"cat": 0, "dog": 1}`: they become the choice with the highest score."""
    text: str | None = None
    """A pattern that makes column `text` from the fields of a record, e.g. `"{title}\\n\\n{paragraphs}"`."""
    separator: str = "\n"
    """What joins the parts of a field that is a list of texts."""


bring = None
"""The files cannot be downloaded."""


def read(path: Path, options: Options) -> pd.DataFrame:
    """Read the files. Columns: `row` and the fields of the records, a list of texts as one text; or only `text`, if set.

    A record without a field that it needs, or with one that cannot be read, gets a `reason`.
    """
    tables = [_read_file(file, options) for file in files.matching(path, options.files)]
    return pd.concat(tables, ignore_index=True)


def _read_file(path: Path, options: Options) -> pd.DataFrame:
    records = _records(path, options.records)
    files.column_names(records, path)
    rows = [{name: _joined(value, options.separator) for name, value in record.items()} for record in records]
    table = pd.DataFrame(rows) if options.text is None else _texts(rows, options.text)
    for names, read_field in ((options.base64, _from_base64), (options.scores, _best)):
        for name in names:
            table = _with_field_read(table, name, read_field)
    return table.assign(row=[f"{path.name}:{number}" for number in range(len(rows))])


def _records(path: Path, field: str | None) -> list[dict[str, Any]]:
    try:
        records = json.loads(files.read_bytes(path))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise TidemillError(f"{path} is not JSON: {error}") from error
    if field is not None:
        records = records.get(field) if isinstance(records, dict) else None
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        where = f"{path}, field {field!r}," if field else f"{path}"
        raise TidemillError(f"{where} holds no list of records; it begins {str(records)[:40]!r}")
    return records


def _with_field_read(table: pd.DataFrame, name: str, read_field: Callable[[Any], Any]) -> pd.DataFrame:
    """Return the table with the values of a field read; a row whose value cannot be read gets a `reason`."""
    if name not in table:
        raise TidemillError(
            f"source.options: the records have no field {name!r}; they have: {', '.join(table.columns)}"
        )
    values = [_read_or_reason(value, read_field) for value in table[name]]
    reasons = pd.Series([None if reason is None else f"{name}: {reason}" for _, reason in values], dtype=object)
    earlier = table["reason"] if "reason" in table else pd.Series([None] * len(table), dtype=object)
    table = table.assign(reason=earlier.where(earlier.notna(), reasons))
    table[name] = [value for value, _ in values]
    return table


def _read_or_reason(value: Any, read_field: Callable[[Any], Any]) -> tuple[Any, str | None]:
    try:
        return read_field(value), None
    except (ValueError, TypeError, AttributeError) as error:
        return None, str(error)


def _from_base64(value: str) -> bytes:
    return binascii.a2b_base64(value, strict_mode=True)


def _best(scores: dict[str, float]) -> str:
    return max(scores, key=lambda choice: scores[choice])


def _joined(value: Any, separator: str) -> Any:
    of_texts = isinstance(value, list) and all(isinstance(part, str) for part in value)
    return separator.join(value) if of_texts else value


def _texts(rows: list[dict[str, Any]], pattern: str) -> pd.DataFrame:
    fields = FIELD.findall(pattern)
    absent = [[name for name in fields if row.get(name) is None] for row in rows]
    texts = [FIELD.sub(lambda found, row=row: str(row.get(found[1])), pattern) for row in rows]  # type: ignore[misc]
    reasons = [f"no field {names[0]!r}" if names else None for names in absent]
    return pd.DataFrame({"text": texts, "reason": reasons})
