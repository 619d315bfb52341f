"""Adding a system to the text of `params.yaml`, or taking out all: blocks in block style, all other lines as they were.

Block style, because DVC rewrites the file for `dvc exp run -S`, and cannot always read back the flow style that it writes.
"""

import io
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from tidemill.core.errors import TidemillError

SYSTEMS = re.compile(r"""(["']?)systems\1[ ]*:[ ]*(?P<empty>\{[ ]*\})?[ ]*(?P<comment>\#.*)?""")


def with_system(text: str, name: str, block: Mapping[str, Any], reasons: Sequence[str] = ()) -> str:
    """Return the text of `params.yaml` with a block at the end of `systems`.

    Args:
        reasons: comments above the block.

    Raises:
        TidemillError: the systems are written in flow style, `systems: {a: …}`.
    """
    lines = text.splitlines(keepends=True)
    start, end = _block_of("systems", text, lines)
    ending = "\r\n" if lines[start].endswith("\r\n") else "\n"
    head, tail = lines[:end], lines[end:]
    head[start] = _opened(head[start], start)
    if not head[-1].endswith("\n"):
        head[-1] += ending
    indent = next((_indent(line) for line in head[start + 1 :] if _is_content(line)), "  ")
    before = [ending] if any(map(_is_content, head[start + 1 :])) else []
    after = [ending] if tail and tail[0].strip() else []
    comments = [f"# {reason}" for reason in reasons]
    added = [f"{indent}{line}{ending}" for line in (*comments, *_block(name, block))]
    return "".join([*head, *before, *added, *after, *tail])


def emptied(text: str) -> str:
    """Return the text of `params.yaml` without any system or source."""
    for key in ("sources", "systems"):
        lines = text.splitlines(keepends=True)
        start, end = _block_of(key, text, lines)
        ending = "\r\n" if lines[start].endswith("\r\n") else "\n"
        text = "".join([*lines[:start], f"{key}: {{}}{ending}", *lines[end:]])
    return text


def _block_of(name: str, text: str, lines: list[str]) -> tuple[int, int]:
    """Return the line of a key of the whole, as `systems:`, and the line after its last block."""
    from ruamel.yaml import YAML

    yaml: Any = YAML()
    params = yaml.load(text)
    start = params.lc.key(name)[0]
    following = [line for line in (params.lc.key(key)[0] for key in params) if line > start]
    end = min(following, default=len(lines))
    while end > start + 1 and not _is_content(lines[end - 1]):
        end -= 1
    return start, end


def _opened(line: str, number: int) -> str:
    """Return the line of `systems:` so that blocks can follow it: `systems: {}` loses its braces."""
    found = SYSTEMS.fullmatch(line.rstrip("\r\n"))
    if found is None:
        raise TidemillError(f"line {number + 1}: write `systems:` on a line of its own, and a block for each below it")
    return line if found["empty"] is None else re.sub(r"[ ]*\{[ ]*\}", "", line, count=1)


def _block(name: str, block: Mapping[str, Any]) -> list[str]:
    from ruamel.yaml import YAML

    yaml: Any = YAML()
    stream = io.StringIO()
    yaml.default_flow_style, yaml.width = False, sys.maxsize
    yaml.dump({name: dict(block)}, stream)
    return stream.getvalue().splitlines()


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _is_content(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")
