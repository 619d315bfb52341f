"""The entries of a `dvc.lock` as pieces of its text: one is read, written or moved without touching the others.

DVC parses and writes the whole file for each stage that ends, under its lock: with 300 stages that takes half a second
a stage and is most of what they cost. What is written here is byte for byte what DVC writes. A file in which something
is not as DVC itself would have written it is left to DVC.
"""

import os
import re
import shutil
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from flows.dvc_internals import Repo, dumps_yaml, loads_yaml

HEAD = "schema: '2.0'\nstages:\n"
ENTRY = re.compile(r"^  [^\s#?].*(?:\n(?:    .*)?(?=\n))*\n", re.MULTILINE)
"""The line with the stage's name, and all below it that stands further in."""
SHARED = re.compile(r"[&*]id\d")
"""An anchor or alias of YAML's: it is numbered over the whole file."""

PLAIN = re.compile(r"(?!(?:y|n|yes|no|on|off|true|false|null)$)[A-Za-z_][\w@-]*", re.ASCII | re.IGNORECASE)
"""A name that no version of YAML takes for something else than a text."""

Entries = dict[str, str]
"""The text of each entry by the first line of it, in the order of the file."""


def read(path: Path) -> Entries | None:
    """Return the entries of a lock file; none of one that is not there; None if the file has to be left to DVC."""
    try:
        return parse(path.read_bytes().decode())
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError:
        return None


def parse(text: str) -> Entries | None:
    """Return the entries of the text of a lock file; None if it has to be left to DVC."""
    if not text:
        return {}
    body = text.removeprefix(HEAD)
    pieces = ENTRY.findall(body)
    if body == text or "".join(pieces) != body or SHARED.search(body):
        return None
    return {piece.partition("\n")[0]: piece for piece in pieces}


def write(path: Path, entries: Entries) -> None:
    """Replace the file as a whole; whoever reads it finds the old one or the new one."""
    partial = Path(Repo.find_root(path.parent), ".dvc", "tmp", f"{os.getpid()}.dvc.lock")
    partial.write_text(HEAD + "".join(entries.values()), encoding="utf-8", newline="")
    target = path.resolve()
    if target.exists():
        partial.chmod(stat.S_IMODE(target.stat().st_mode))
    shutil.move(partial, target)


def put(path: Path, name: str, content: Mapping[str, Any]) -> bool:
    """Write the entry of one stage in its place, a new one at the end. Return whether that could be done here."""
    entries = read(path)
    text = _entry(name, content)
    if entries is None or text is None:
        return False
    line = text.partition("\n")[0]
    if entries.get(line) != text:
        write(path, {**entries, line: text})
    return True


def get(path: Path, name: str) -> dict[str, Any] | None:
    """Return the content of one stage's entry, empty if there is none; None if the file has to be left to DVC."""
    entries = read(path)
    line = _line(name)
    if entries is None or line is None:
        return None
    content: dict[str, Any] = next(iter(loads_yaml(entries[line]).values())) if line in entries else {}
    return content


def first_lines(names: Iterable[str]) -> list[str]:
    """Return the lines that the entries of these stages begin with."""
    return [line for name in names if (line := _line(name)) is not None]


def _entry(name: str, content: Mapping[str, Any]) -> str | None:
    text: str = dumps_yaml({"stages": {name: content}}).removeprefix("stages:\n")
    return text if ENTRY.fullmatch(text) and not SHARED.search(text) else None


def _line(name: str) -> str | None:
    """Return the line that an entry begins with: a name that YAML would take for something else stands in quotes."""
    if PLAIN.fullmatch(name):
        return f"  {name}:"
    text = _entry(name, {"cmd": ""})
    return text.partition("\n")[0] if text else None
