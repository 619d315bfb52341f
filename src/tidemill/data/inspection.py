"""What stands in a file or folder: its format, how to read it, and its rows."""

import importlib
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from tidemill import config
from tidemill.config import Source
from tidemill.data.formats import _files, huggingface, read_rows
from tidemill.errors import TidemillError

ENDINGS = {
    "csv": (".csv", ".tsv"),
    "jsonl": (".jsonl", ".ndjson"),
    "json_records": (".json",),
    "parquet": (".parquet",),
    "text": (".txt", ".md"),
    "idx": ("-idx1-ubyte", "-idx3-ubyte"),
    "pictures": (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"),
}
"""What file names of a format end with, packed or not."""
SPLIT_FORMATS = ("csv", "jsonl", "parquet", "text")
"""Formats whose options say which files hold which split."""
HUB_ID = re.compile(r"([\w.-]+/[\w.-]+)(?:@([0-9a-f]{40}))?")
MANY_FILES = 20
"""From so many files of plain text on, each is taken for a document."""
LONGEST_NAME = 60
"""Characters; a longer cell in the first line of a table is no name of a column."""
NUMBER = re.compile(r"[-+]?[\d.,]+%?")


@dataclass(frozen=True)
class Found:
    """How a source is read, the sentences that say why, and what was read."""

    source: Source
    options: dict[str, Any]
    """What the format is told beyond its defaults."""
    notes: list[str]
    rows: pd.DataFrame


def look(address: str, task: str | None, download_to: Path) -> Found:
    """Find out how a source is to be read, and read it.

    Args:
        address: A file, a folder, a pattern of files (`reviews/*.csv.gz`), or the id of a data set on the Hugging Face
            Hub (`owner/name`, or `owner/name@commit`), which is then downloaded.
        task: The task it is for, where that is known: plain text is cut into rows by it.

    Raises:
        TidemillError: nothing stands there, its format is not known, or its rows cannot be read.
    """
    dataset = HUB_ID.fullmatch(address)
    if dataset and not Path(address).parent.exists() and not _format_of(Path(address)):
        return _from_hub(dataset[1], dataset[2], download_to)
    path, pattern = _located(address)
    files = _files.matching(path, pattern or "**/*")
    format_, chosen = _format(path, files)
    options, notes = _options(path, chosen, format_, task, pattern)
    others = [f"left out, as of other kinds: {len(files) - len(chosen)}"] if len(files) > len(chosen) else []
    return _read(path, format_, options, [f"{_counted(chosen, path)}, read as {format_}", *others, *notes])


def relative(path: Path) -> str:
    """The path as params name it: from the project's folder on where it lies inside."""
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 (a link stays a link)
    inside = absolute.is_relative_to(Path.cwd())
    return (absolute.relative_to(Path.cwd()) if inside else absolute).as_posix()


def _from_hub(dataset: str, revision: str | None, folder: Path) -> Found:
    options = {"dataset": dataset, "revision": revision or huggingface.newest_revision(dataset)}
    note = f"data set {dataset} of the Hugging Face Hub at {options['revision']}, kept in {folder}"
    return _read(folder, "huggingface", options, [note])


def _read(path: Path, format_: str, options: dict[str, Any], notes: list[str]) -> Found:
    if format_ not in config.plugin_names("tidemill.data.formats"):
        raise TidemillError(f"{path}: there is no format {format_!r}")
    checked = Source(path=relative(path), format=format_, options=_declared(format_).model_validate(options))
    return Found(checked, options, notes, read_rows(checked))


def _declared(format_: str) -> type[config.Params]:
    """The options that a format takes."""
    options: type[config.Params] = importlib.import_module(f"tidemill.data.formats.{format_}").Options
    return options


def _located(address: str) -> tuple[Path, str | None]:
    """The folder that a pattern starts from, and the pattern; or the path, and none."""
    parts = Path(address).parts
    first = next((place for place, part in enumerate(parts) if any(sign in part for sign in "*?[")), None)
    if first is None or Path(address).exists():
        if not Path(address).exists():
            raise TidemillError(
                f"{address} is missing: name a file, a folder, a pattern in quotes or a Hub id owner/name"
            )
        return Path(address), None
    return Path(*parts[:first]), str(Path(*parts[first:]))


def _format(path: Path, files: Sequence[Path]) -> tuple[str, list[Path]]:
    """The format that most of the files have, and these files."""
    formats = {file: _format_of(file) for file in files}
    known = Counter(name for name in formats.values() if name)
    if not known:
        endings = sorted({Path(_files.unpacked_name(file)).suffix or file.name for file in files})[:5]
        raise TidemillError(f"{path}: no format known for {', '.join(endings)}; known are {', '.join(ENDINGS)}")
    chosen = known.most_common(1)[0][0]
    return _precise(chosen, next(file for file in files if formats[file] == chosen)), [
        file for file in files if formats[file] == chosen
    ]


def _format_of(file: Path) -> str | None:
    name = _files.unpacked_name(file).lower()
    return next((kind for kind, endings in ENDINGS.items() if name.endswith(endings)), None)


def _precise(format_: str, file: Path) -> str:
    """Formats that share an ending, told apart by how the first file begins."""
    if format_ == "parquet":
        import pyarrow.parquet

        try:
            described = b"huggingface" in (pyarrow.parquet.read_schema(file).metadata or {})
        except (OSError, ValueError):
            described = False  # reading it says what is wrong with it
        return "huggingface" if described else format_
    if format_ == "json_records":
        start = next(_files.pieces(file), b"").lstrip(b"\xef\xbb\xbf \t\r\n")[:4096]
        return format_ if start.startswith(b"[") else "squad" if b'"paragraphs"' in start else "jsonl"
    return format_


def _options(
    path: Path, files: list[Path], format_: str, task: str | None, pattern: str | None
) -> tuple[dict[str, Any], list[str]]:
    """What a format has to be told of these files, and a sentence for each thing that is worth one."""
    options, notes = _which(path, files, format_, pattern)
    if format_ in ("csv", "jsonl", "text"):
        encoding = _files.guessed_encoding(_files.pieces(files[0]))
        if encoding and encoding != "utf-8-sig":
            options["encoding"] = encoding
        notes.append(f"encoding {(encoding or 'unknown').removesuffix('-sig')}")
    if format_ == "csv" and (names := _missing_header(files[0], options)):
        options["names"] = names
        notes.append(f"no header in the first line, so the columns are named {names[0]} to {names[-1]}")
    if format_ == "text":
        options |= _units(files) if task == "text_generation" else _labels_by_place(path, files)
    if format_ == "idx":
        options = {"splits": _idx_splits(files)}
    return options, notes


def _which(path: Path, files: list[Path], format_: str, pattern: str | None) -> tuple[dict[str, Any], list[str]]:
    """The pattern of the files, and those of the splits where file names tell them."""
    if path.is_file() or format_ in ("idx", "pictures"):
        return {}, []
    splits = _splits(path, files) if format_ in SPLIT_FORMATS else {}
    if splits:
        return {"splits": splits}, [f"split by file names: {', '.join(f'{k} {v}' for k, v in splits.items())}"]
    default = _declared(format_).model_fields["files"].default
    if set(_matches(path, default)) == set(files):
        return {}, []
    as_asked = pattern and set(_matches(path, pattern)) == set(files)
    return {"files": pattern if as_asked else _pattern(path, files)}, []


def _splits(path: Path, files: Sequence[Path]) -> dict[str, str]:
    named: dict[str, list[Path]] = {}
    for file in files:
        named.setdefault(str(huggingface.named_split(_files.place(file, path))), []).append(file)
    if "None" in named or "train" not in named or len(named) < 2:
        return {}
    return {split: _pattern(path, named[split]) for split in ("train", "valid", "test") if split in named}


def _pattern(path: Path, files: Sequence[Path]) -> str:
    """The simplest pattern that matches these files of a folder, and no others."""
    places = [_files.place(file, path) for file in files]
    start = os.path.commonprefix(places)  # noqa: RUF071 (characters are meant, not folders)
    ending = re.sub(r"^[^.]*", "", Path(places[0]).name)
    folder = start[: start.rfind("/") + 1]
    plain = Path(_files.unpacked_name(files[0])).suffix
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
        if set(_matches(path, candidate)) == set(files):
            return candidate
    raise TidemillError(f"{path} holds files of several kinds: name the wanted ones by a pattern, '{path}/*{ending}'")


def _matches(path: Path, pattern: str) -> list[Path]:
    try:
        return _files.matching(path, pattern)
    except TidemillError:
        return []


def _missing_header(file: Path, options: Mapping[str, Any]) -> list[str] | None:
    """Names for the columns of a file whose first line is a row: it holds a number, a long text, or what comes again."""
    from tidemill.data.formats import csv

    chosen = {name: options[name] for name in ("encoding",) if name in options}
    rows = csv.read(file, csv.Options(**chosen)).drop(columns=["row", "reason"])
    firsts = [(str(name), rows[name]) for name in rows]
    is_row = any(
        NUMBER.fullmatch(first) or len(first) > LONGEST_NAME or (below == first).any() for first, below in firsts
    )
    return [f"column{number}" for number in range(1, len(firsts) + 1)] if is_row else None


def _labels_by_place(path: Path, files: Sequence[Path]) -> dict[str, Any]:
    """Where labels stand in plain text: a folder a label, a file a label, or nowhere."""
    folders = Counter(file.parent for file in files)
    if len({folder.name for folder in folders}) > 1 and len(files) >= 2 * len(folders):
        return {"unit": "file", "label": "folder"}
    return {"label": "name"} if len(files) > 1 and path.is_dir() else {}


def _units(files: Sequence[Path]) -> dict[str, Any]:
    """Where documents to be gone on with stand: each in a file of its own, or each on a line of one file."""
    return {"unit": "file"} if len(files) >= MANY_FILES else {}


def _idx_splits(files: Sequence[Path]) -> dict[str, str]:
    """What the names of the files of a split begin with; MNIST calls its test `t10k`."""
    prefixes = sorted({file.name.partition("-images")[0] for file in files if "-images" in file.name})
    named = {prefix: "test" if prefix == "t10k" else huggingface.named_split(prefix) for prefix in prefixes}
    return {split: prefix for prefix, split in named.items() if split}


def _counted(files: Sequence[Path], path: Path) -> str:
    return str(path) if path.is_file() else f"{len(files)} file{'s' if len(files) > 1 else ''} of {path}"
