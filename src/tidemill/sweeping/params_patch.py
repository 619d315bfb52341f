"""A better setting as a patch of params.yaml, for a person to accept: `git apply sweep-digits.patch`."""

import difflib
import json
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node

from tidemill.core.params import PARAMS_FILE


def patch(system: str, values: dict[str, Any], file: Path = PARAMS_FILE) -> str:
    """Return the unified diff that sets values at dotted paths of a system; everything else in the file stays as it is."""
    old = file.read_text(encoding="utf-8")
    new = old
    for path, value in values.items():
        new = replaced(new, ["systems", system, *path.split(".")], value)
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    return "".join(difflib.unified_diff(before, after, f"a/{file.name}", f"b/{file.name}"))


def replaced(text: str, path: list[str], value: Any) -> str:
    """Return YAML text with one value changed, or added to its mapping."""
    parent = _descended(YAML().compose(StringIO(text)), path[:-1])
    if parent is None:
        return replaced(text, path[:-1], {path[-1]: value})
    written = _written(value)
    for key, node in parent.value:
        if key.value == path[-1]:
            return f"{text[: key.end_mark.index]}: {written}{text[_end(text, node) :]}"
    if parent.flow_style:
        end = parent.end_mark.index - 1
        comma = ", " if parent.value else ""
        return f"{text[:end]}{comma}{path[-1]}: {written}{text[end:]}"
    start = parent.start_mark.index
    return f"{text[:start]}{path[-1]}: {written}\n{' ' * parent.start_mark.column}{text[start:]}"


def _descended(node: Node | None, path: list[str]) -> MappingNode | None:
    """Return the mapping at a path, if there is one."""
    for part in path:
        entries = node.value if isinstance(node, MappingNode) else []
        node = next((value for key, value in entries if key.value == part), None)
    return node if isinstance(node, MappingNode) else None


def _end(text: str, node: Node) -> int:
    """Return where a value ends; the mark of a block is at the start of what follows it."""
    value = text[node.start_mark.index : node.end_mark.index]
    return int(node.start_mark.index) + len(value.rstrip())


def _written(value: Any) -> str:
    """Write a value on one line, as JSON, which is YAML; YAML 1.2 reads `1e-05` as a number."""
    return value if isinstance(value, str) and value.isidentifier() else json.dumps(value, ensure_ascii=False)
