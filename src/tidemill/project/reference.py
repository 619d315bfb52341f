"""The reference of all params, made from their types: `params.md` for people, `params.schema.json` for editors.

`python -m tidemill.project.reference` writes both to `docs/reference/`.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tidemill.core import plugins
from tidemill.evaluation.params import Evaluate
from tidemill.formats.common.source import Source
from tidemill.project import schema
from tidemill.project.params import System
from tidemill.project.schema import Block, Schema
from tidemill.registry.params import Gates
from tidemill.rows.params import Ingest
from tidemill.serving.params import Monitor, Serve
from tidemill.sources.params import Download
from tidemill.sweeping.params import Sweep
from tidemill.tasks.common import encoding, learning, prediction
from tidemill.tasks.common.probes import probe as probes
from tidemill.training.params import Training
from tidemill.validation.params import Validate

FOLDER = Path("docs/reference")
BOUNDS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
    "minLength": "≥ {} characters",
    "maxLength": "≤ {} characters",
    "minItems": "≥ {} values",
    "maxItems": "≤ {} values",
    "minProperties": "≥ {} entries",
    "pattern": "`{}`",
}
"""Keywords of JSON Schema that limit a value, in the words of the page."""
INTRODUCTION = """# Params

Every param of `params.yaml`, made from the types in the code by `make docs`. A param without a default must be given.
A misspelt name or a value of a wrong type is reported with its path before any stage starts. Editors with a YAML
language server complete and check the file by [params.schema.json](params.schema.json), which its first line names."""

Section = tuple[str, Block, str]
"""Heading, the block whose params the section lists, and what stands before them instead of the block's docstring."""


def main(folder: Path = FOLDER) -> None:
    """Write both files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "params.md").write_text(page(), encoding="utf-8")
    text = json.dumps(schema.schema(), indent=2, ensure_ascii=False) + "\n"
    (folder / "params.schema.json").write_text(text, encoding="utf-8")


def page() -> str:
    """Return the reference as Markdown: a section for each block, a row for each param."""
    listed, definitions = list(_sections()), schema.schema()["$defs"]
    links = {schema.path(block): f"[{heading}](#{_anchor(heading)})" for heading, block, _ in listed}
    parts = [INTRODUCTION]
    for heading, block, note in listed:
        level = "##" if block in (Download, System) else "###"
        found = definitions.get(schema.definition(block)) or schema.described(block)
        parts += [f"{level} {heading}", note or schema.sentence(block), _table(found, links)]
    return "\n\n".join(parts) + "\n"


def _sections() -> Iterator[Section]:
    """Yield the sections of the page, the inner blocks of a block after it."""
    seen: set[Block] = set()
    for heading, block, note in _top_sections():
        yield heading, block, note
        inner = schema.with_inner(block)[1:] if block is not System else []
        yield from ((_words(kind.__name__), kind, "") for kind in inner if kind not in seen)
        seen.update(inner)


def _top_sections() -> Iterator[Section]:
    tasks = plugins.names("tasks")
    yield "sources", Download, "What `tidemill fetch` downloads: by the folder under `data/`, a list of files."
    yield "systems", System, "By name, one block each. `presets` has the same blocks, which no stage runs."
    yield "source", Source, ""
    yield from _of_plugins(
        "source.options", {name: plugins.load("formats", name).Options for name in plugins.names("formats")}
    )
    yield "ingest", Ingest, ""
    yield "validate", Validate, ""
    yield from _of_plugins("tokenize", {task: encoding.of(task).Tokenize for task in tasks})
    yield from _of_plugins("model", {name: plugins.load("models", name).Params for name in plugins.names("models")})
    yield "training", Training, ""
    yield from _of_plugins("training.augment", {task: learning.of(task).Augment for task in tasks})
    yield "evaluate", Evaluate, ""
    yield from _of_plugins("evaluate.probes", {task: probes.of(task).Params for task in tasks})
    yield "gates", Gates, ""
    yield "sweep", Sweep, ""
    yield "monitor", Monitor, ""
    yield "serve", Serve, ""
    note = "Not in `params.yaml`: what a request to a version may choose (`--option`, `options`, MLflow's params)."
    options = {task: prediction.of(task).Options for task in tasks}
    yield from ((heading, block, note) for heading, block, _ in _of_plugins("options of a request", options))


def _of_plugins(path: str, blocks: Mapping[str, Block | None]) -> Iterator[Section]:
    """Yield a section for each block of a plug-in, tasks that share one together; None has no params."""
    users: dict[Block, list[str]] = {}
    for name, block in blocks.items():
        if block is not None:
            users.setdefault(block, []).append(name)
    for block, names in users.items():
        yield f"{path}: {', '.join(names)}", block, ""


def _table(found: Schema, links: Mapping[str, str]) -> str:
    rows = ["| param | type | limits | default | meaning |", "| --- | --- | --- | --- | --- |"]
    for name, field in found["properties"].items():
        cells = [
            f"`{name}`",
            _type(field, links),
            ", ".join(dict.fromkeys(_limits(field))),
            _default(field) if name not in found.get("required", ()) else "",
            field.get("description", ""),
        ]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)


def _type(field: Schema, links: Mapping[str, str]) -> str:
    """Return the type of a param in words."""
    match field:
        case {"$ref": reference}:
            return links.get(reference, "see below")
        case {"anyOf": kinds}:
            return " or ".join(dict.fromkeys(_type(kind, links) for kind in kinds))
        case {"enum": values}:
            return ", ".join(f"`{value}`" for value in values)
        case {"const": value}:
            return f"`{value}`"
        case {"type": "array", "items": items} if items:
            return f"list: {_type(items, links)}"
        case {"type": "object", "additionalProperties": dict(values)} if values:
            return f"mapping: {_type(values, links)}"
    names = {
        "string": "text",
        "number": "number",
        "integer": "whole number",
        "boolean": "`true`, `false`",
        "null": "`null`",
    }
    names |= {"array": "list", "object": "mapping"}
    return names[field["type"]] if "type" in field else "see below"


def _limits(field: Any) -> Iterator[str]:
    """Yield the limits of a value, those inside a union or list included."""
    if isinstance(field, dict):
        yield from (form.format(field[key]) for key, form in BOUNDS.items() if key in field)
        for key in ("anyOf", "items", "additionalProperties", "propertyNames"):
            inner = field.get(key)
            for part in inner if isinstance(inner, list) else [inner]:
                yield from _limits(part)


def _default(field: Schema) -> str:
    return f"`{json.dumps(field.get('default', {}), ensure_ascii=False)}`"


def _anchor(heading: str) -> str:
    """Return the anchor that a page's heading gets."""
    return re.sub(r"[^\w\s-]", "", heading.lower()).strip().replace(" ", "-")


def _words(name: str) -> str:
    """Return the words of a class's name: `PinnedFile` is `pinned file`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
