"""What a file or folder holds: its format, how to read it, and its rows."""

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from tidemill.core import plugins
from tidemill.core.errors import TidemillError
from tidemill.core.params import Params
from tidemill.formats import huggingface
from tidemill.formats.common import decoding, files
from tidemill.formats.common.source import Source, read_rows

ENDINGS = {
    "csv": (".csv", ".tsv"),
    "jsonl": (".jsonl", ".ndjson"),
    "json_records": (".json",),
    "parquet": (".parquet",),
    "text": (".txt", ".md"),
    "idx": ("-idx1-ubyte", "-idx3-ubyte"),
    "pictures": (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"),
}
"""What the file names of a format end with, packed or not."""
SPLIT_FORMATS = ("csv", "jsonl", "parquet", "text")
"""Formats whose options assign files to splits."""
HUB_ID = re.compile(r"([\w.-]+/[\w.-]+)(?:@([0-9a-f]{40}))?")
MANY_FILES = 20
"""Number of plain text files from which each is taken for one document."""
LONGEST_NAME = 60
"""Characters; a longer cell in the first line of a table is not the name of a column."""
NUMBER = re.compile(r"[-+]?[\d.,]+%?")


@dataclass(frozen=True)
class Inspected:
    """How a source is read, notes on why, and its rows."""

    source: Source
    options: dict[str, Any]
    """The options of the format that differ from its defaults."""
    notes: list[str]
    rows: pd.DataFrame


def inspect(address: str, whole_documents: bool, download_to: Path) -> Inspected:
    """Find out how a source is to be read, and read it.

    Args:
        address: a file, a folder, a pattern of files (`reviews/*.csv.gz`), or the id of a data set on the Hugging Face
            Hub (`owner/name`, or `owner/name@commit`), which is then downloaded.
        whole_documents: whether the task reads plain text a document a row, without labels.
        download_to: the folder for a data set of the Hub.

    Raises:
        TidemillError: nothing is there, its format is not known, or its rows cannot be read.
    """
    dataset = HUB_ID.fullmatch(address)
    if dataset and not Path(address).parent.exists() and not _format_of(Path(address)):
        return _from_hub(dataset[1], dataset[2], download_to)
    path, pattern = _located(address)
    found = files.matching(path, pattern or "**/*")
    format_, chosen = _format(path, found)
    options, notes = _options(path, chosen, format_, whole_documents, pattern)
    ignored = [f"files of other kinds, ignored: {len(found) - len(chosen)}"] if len(found) > len(chosen) else []
    return _read(path, format_, options, [f"{_counted(chosen, path)}, read as {format_}", *ignored, *notes])


def relative(path: Path) -> str:
    """Return the path as params name it: relative to the project's folder if it is inside."""
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 (a link stays a link)
    inside = absolute.is_relative_to(Path.cwd())
    return (absolute.relative_to(Path.cwd()) if inside else absolute).as_posix()


def _from_hub(dataset: str, revision: str | None, folder: Path) -> Inspected:
    options = {"dataset": dataset, "revision": revision or huggingface.newest_revision(dataset)}
    note = f"data set {dataset} of the Hugging Face Hub at {options['revision']}, downloaded to {folder}"
    return _read(folder, "huggingface", options, [note])


def _read(path: Path, format_: str, options: dict[str, Any], notes: list[str]) -> Inspected:
    if format_ not in plugins.names("formats"):
        raise TidemillError(f"{path}: there is no format {format_!r}")
    source = Source(path=relative(path), format=format_, options=_declared(format_).model_validate(options))
    return Inspected(source, options, notes, read_rows(source))


def _declared(format_: str) -> type[Params]:
    options: type[Params] = plugins.load("formats", format_).Options
    return options


def _located(address: str) -> tuple[Path, str | None]:
    """Return the folder that a pattern starts from, and the pattern; or the path, and None."""
    parts = Path(address).parts
    first = next((place for place, part in enumerate(parts) if any(sign in part for sign in "*?[")), None)
    if first is None or Path(address).exists():
        if not Path(address).exists():
            raise TidemillError(
                f"{address} is missing: name a file, a folder, a pattern in quotes or a Hub id owner/name"
            )
        return Path(address), None
    return Path(*parts[:first]), str(Path(*parts[first:]))


def _format(path: Path, found: Sequence[Path]) -> tuple[str, list[Path]]:
    """Return the format that most of the files have, and these files."""
    formats = {file: _format_of(file) for file in found}
    known = Counter(name for name in formats.values() if name)
    if not known:
        endings = sorted({Path(files.unpacked_name(file)).suffix or file.name for file in found})[:5]
        raise TidemillError(f"{path}: no format known for {', '.join(endings)}; known are {', '.join(ENDINGS)}")
    commonest = known.most_common(1)[0][0]
    chosen = [file for file in found if formats[file] == commonest]
    return _precise(commonest, chosen[0]), chosen


def _format_of(file: Path) -> str | None:
    name = files.unpacked_name(file).lower()
    return next((kind for kind, endings in ENDINGS.items() if name.endswith(endings)), None)


def _precise(format_: str, file: Path) -> str:
    """Distinguish formats that share an ending by the beginning of the first file."""
    if format_ == "parquet":
        import pyarrow.parquet

        try:
            has_features = b"huggingface" in (pyarrow.parquet.read_schema(file).metadata or {})
        except (OSError, ValueError):
            has_features = False  # reading the rows reports what is wrong with it
        return "huggingface" if has_features else format_
    if format_ == "json_records":
        start = next(files.pieces(file), b"").lstrip(b"\xef\xbb\xbf \t\r\n")[:4096]
        return format_ if start.startswith(b"[") else "squad" if b'"paragraphs"' in start else "jsonl"
    return format_


def _options(
    path: Path, found: list[Path], format_: str, whole_documents: bool, pattern: str | None
) -> tuple[dict[str, Any], list[str]]:
    """Return the options that these files need, and notes on them."""
    options, notes = _which(path, found, format_, pattern)
    if format_ in ("csv", "jsonl", "text"):
        encoding = decoding.guessed_encoding(files.pieces(found[0]))
        if encoding and encoding != "utf-8-sig":
            options["encoding"] = encoding
        notes.append(f"encoding {(encoding or 'unknown').removesuffix('-sig')}")
    if format_ == "csv" and (names := _missing_header(found[0], options)):
        options["names"] = names
        notes.append(f"no header in the first line, so the columns are named {names[0]} to {names[-1]}")
    if format_ == "text":
        options |= _units(found) if whole_documents else _labels_by_place(path, found)
    if format_ == "idx":
        options = {"splits": _idx_splits(found)}
    return options, notes


def _which(path: Path, found: list[Path], format_: str, pattern: str | None) -> tuple[dict[str, Any], list[str]]:
    """Return the pattern of the files, or the patterns of the splits where file names tell them."""
    if path.is_file() or format_ in ("idx", "pictures"):
        return {}, []
    splits = _splits(path, found) if format_ in SPLIT_FORMATS else {}
    if splits:
        return {"splits": splits}, [f"split by file names: {', '.join(f'{k} {v}' for k, v in splits.items())}"]
    default = _declared(format_).model_fields["files"].default
    if set(_matches(path, default)) == set(found):
        return {}, []
    as_given = pattern and set(_matches(path, pattern)) == set(found)
    return {"files": pattern if as_given else _pattern(path, found)}, []


def _splits(path: Path, found: Sequence[Path]) -> dict[str, str]:
    named: dict[str, list[Path]] = {}
    for file in found:
        named.setdefault(str(huggingface.named_split(files.place(file, path))), []).append(file)
    if "None" in named or "train" not in named or len(named) < 2:
        return {}
    return {split: _pattern(path, named[split]) for split in ("train", "valid", "test") if split in named}


def _pattern(path: Path, wanted: Sequence[Path]) -> str:
    """Return the simplest pattern that matches these files of a folder, and no others."""
    places = [files.place(file, path) for file in wanted]
    start = os.path.commonprefix(places)  # noqa: RUF071 (characters are meant, not folders)
    ending = re.sub(r"^[^.]*", "", Path(places[0]).name)
    folder = start[: start.rfind("/") + 1]
    plain = Path(files.unpacked_name(wanted[0])).suffix
    candidates = [
        f"*{plain}",
        f"*{plain}*",
        f"**/*{plain}",
        f"**/*{plain}*",
        f"{folder}*{ending}",
        f"{folder}**/*{ending}",
        f"{start}*",
    ]
    for candidate in [places[0], *candidates] if len(places) == 1 else candidates:
        if set(_matches(path, candidate)) == set(wanted):
            return candidate
    raise TidemillError(f"{path} holds files of several kinds: name those you want by a pattern, '{path}/*{ending}'")


def _matches(path: Path, pattern: str) -> list[Path]:
    try:
        return files.matching(path, pattern)
    except TidemillError:
        return []


def _missing_header(file: Path, options: Mapping[str, Any]) -> list[str] | None:
    """Return names for the columns of a file without a header; None where it has one.

    A first line that holds a number, a long text, or a value that recurs below it is a row.
    """
    from tidemill.formats import csv

    chosen = {name: options[name] for name in ("encoding",) if name in options}
    rows = csv.read(file, csv.Options(**chosen)).drop(columns=["row", "reason"])
    firsts = [(str(name), rows[name]) for name in rows]
    is_row = any(
        NUMBER.fullmatch(first) or len(first) > LONGEST_NAME or (below == first).any() for first, below in firsts
    )
    return [f"column{number}" for number in range(1, len(firsts) + 1)] if is_row else None


def _labels_by_place(path: Path, found: Sequence[Path]) -> dict[str, Any]:
    """Return where the labels of plain text are: a folder for each label, a file for each, or nowhere."""
    folders = Counter(file.parent for file in found)
    if len({folder.name for folder in folders}) > 1 and len(found) >= 2 * len(folders):
        return {"unit": "file", "label": "folder"}
    return {"label": "name"} if len(found) > 1 and path.is_dir() else {}


def _units(found: Sequence[Path]) -> dict[str, Any]:
    """Return where documents are: each in a file of its own, or each on a line."""
    return {"unit": "file"} if len(found) >= MANY_FILES else {}


def _idx_splits(found: Sequence[Path]) -> dict[str, str]:
    """Return what the names of the files of each split begin with; MNIST calls its test split `t10k`."""
    prefixes = sorted({file.name.partition("-images")[0] for file in found if "-images" in file.name})
    named = {prefix: "test" if prefix == "t10k" else huggingface.named_split(prefix) for prefix in prefixes}
    return {split: prefix for prefix, split in named.items() if split}


def _counted(found: Sequence[Path], path: Path) -> str:
    return str(path) if path.is_file() else f"{len(found)} file{'s' if len(found) > 1 else ''} of {path}"
