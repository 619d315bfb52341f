"""A JSON Schema of `params.yaml`, made from the types of the params: for editors, and for the reference page.

Formats, tasks and models are found by name, so the params of a new one appear here without a change.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, get_args

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from tidemill.core import plugins
from tidemill.core.params import Params
from tidemill.project.params import Project
from tidemill.registry.params import gates
from tidemill.tasks.common import encoding, learning
from tidemill.tasks.common.probes import probe as probes

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Block = type[Params]
Schema = dict[str, Any]


def schema() -> Schema:
    """Return a JSON Schema (2020-12) of the whole of `params.yaml`, the params of plug-ins included."""
    blocks = sorted(all_blocks(), key=definition)
    definitions = {definition(block): described(block) for block in blocks}
    _add_formats(definitions["Source"])
    _add_gates(definitions["Gates"])
    definitions["Sweep"]["properties"]["sampler"]["enum"] = plugins.names("sweeping.samplers")
    _add_models(definitions)
    _add_tasks(definitions["System"])
    project = definitions.pop("Project")
    for part in project["properties"].values():
        if "patternProperties" in part:
            part["additionalProperties"] = False  # a name that does not fit the pattern
    return {"$schema": DIALECT, "title": "params.yaml of a Tidemill project", **project, "$defs": definitions}


def all_blocks() -> set[Block]:
    """Return every block of `params.yaml`, those of plug-ins included."""
    return {block for root in _roots() for block in with_inner(root)}


def meanings(block: Block) -> dict[str, str]:
    """Return the docstring under each field of a block, by the field's name; a field without one is left out."""
    found: dict[str, str] = {}
    for kind in reversed(block.__mro__):
        if issubclass(kind, Params) and kind is not Params:
            [definition] = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
            assert isinstance(definition, ast.ClassDef)
            found |= dict(_docstrings(definition.body))
    return found


def described(block: Block) -> Schema:
    """Return the schema of one block, its fields with their docstrings; inner blocks are references."""
    kinds = with_inner(block)
    names, generated = models_json_schema([(kind, "validation") for kind in kinds], schema_generator=_Plain)
    references = {names[kind, "validation"]["$ref"]: path(kind) for kind in kinds}
    own: Schema = generated["$defs"][names[block, "validation"]["$ref"].rsplit("/", 1)[-1]]
    for name, text in meanings(block).items():
        own["properties"][block.model_fields[name].alias or name]["description"] = text
    own["description"] = sentence(block)
    redirected: Schema = _redirected(own, references)
    return redirected


def definition(block: Block) -> str:
    """Return the name of a block in the schema: `Training`, or with its room and plug-in `formats.csv.Options`."""
    rooms = block.__module__.split(".")[1:]
    if rooms[0] in ("formats", "models", "tasks") and rooms[1] != "common":
        return ".".join((rooms[0], rooms[1], block.__name__))
    return block.__name__


def path(block: Block) -> str:
    return f"#/$defs/{definition(block)}"


def sentence(block: Block) -> str:
    """Return the first paragraph of a block's docstring."""
    return " ".join(inspect.cleandoc(block.__doc__ or "").split("\n\n")[0].split())


def _roots() -> list[Block]:
    """Return the blocks that the schema is made of: the whole file, and what plug-ins add."""
    tasks = plugins.names("tasks")
    of_tasks = [kind for task in tasks for kind in (encoding.of(task).Tokenize, probes.of(task).Params)]
    augments = [kind for task in tasks if (kind := learning.of(task).Augment) is not None]
    formats = [_format(name).Options for name in plugins.names("formats")]
    return [Project, *of_tasks, *augments, *formats, *(_model(name).Params for name in plugins.names("models"))]


def with_inner(block: Block) -> list[Block]:
    """Return a block and those that its fields hold, at any depth."""
    found: list[Block] = []
    waiting = [block]
    while waiting:
        kind = waiting.pop(0)
        if kind not in found:
            found.append(kind)
            waiting += [inner for field in kind.model_fields.values() for inner in _blocks(field.annotation)]
    return found


def _docstrings(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for field, after in pairwise(body):
        match field, after:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str() as text)):
                yield name, " ".join(text.split())


def _blocks(annotation: Any) -> Iterator[Block]:
    if isinstance(annotation, type) and issubclass(annotation, Params):
        yield annotation
    for part in get_args(annotation):
        yield from _blocks(part)


class _Plain(GenerateJsonSchema):
    """JSON Schema without the titles that repeat each field's name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def _redirected(value: Any, references: Mapping[str, str]) -> Any:
    """Return a schema whose references lead to our names of the blocks."""
    if isinstance(value, list):
        return [_redirected(entry, references) for entry in value]
    if not isinstance(value, dict):
        return value
    return {
        name: references[entry] if name == "$ref" else _redirected(entry, references)
        for name, entry in value.items()
        if not (name == "title" and isinstance(entry, str))
    }


def _add_gates(block: Schema) -> None:
    """Add a param for the limit of each gate; null does not check it."""
    for name, gate in gates().items():
        limit = TypeAdapter(gate.Limit).json_schema()
        meaning = " ".join(gate.MEANING.split())
        block["properties"][name] = {
            "anyOf": [limit, {"type": "null"}],
            "default": gate.DEFAULT,
            "description": meaning,
        }
    block["additionalProperties"] = False


def _add_formats(source: Schema) -> None:
    """Add what each format takes as options."""
    names = plugins.names("formats")
    source["properties"]["format"]["enum"] = names
    source["allOf"] = []
    for name in names:
        options = _format(name).Options
        then: Schema = {"properties": {"options": _reference(options)}}
        if any(field.is_required() for field in options.model_fields.values()):
            then["required"] = ["options"]
        source["allOf"].append(_if("format", name, then))


def _add_models(definitions: dict[str, Schema]) -> None:
    """Add what each model takes, as a definition `Model`."""
    names = plugins.names("models")
    definitions["Model"] = {
        "type": "object",
        "properties": {"name": {"enum": names, "description": "A package of `tidemill/models/`."}},
        "required": ["name"],
        "allOf": [_if("name", name, _reference(_model(name).Params)) for name in names],
    }
    definitions["System"]["properties"]["model"]["$ref"] = "#/$defs/Model"


def _add_tasks(system: Schema) -> None:
    """Add what each task takes, and which models can do it."""
    names = plugins.names("tasks")
    system["properties"]["task"]["enum"] = names
    system["allOf"] = [_if("task", task, {"properties": _of_task(task)}) for task in names]


def _of_task(task: str) -> Schema:
    kinds, augment = set(encoding.of(task).KINDS), learning.of(task).Augment
    able = [name for name in plugins.names("models") if kinds & set(_model(name).ACCEPTS)]
    augments = [_reference(augment)] if augment is not None else []
    return {
        "tokenize": _reference(encoding.of(task).Tokenize),
        "model": {"properties": {"name": {"enum": able}}},
        "training": {"properties": {"augment": {"anyOf": [*augments, {"type": "null"}]}}},
        "evaluate": {"properties": {"probes": {"items": _reference(probes.of(task).Params)}}},
    }


def _if(param: str, value: str, then: Schema) -> Schema:
    return {"if": {"properties": {param: {"const": value}}, "required": [param]}, "then": then}


def _reference(block: Block) -> Schema:
    return {"$ref": path(block)}


def _format(name: str) -> Any:
    return plugins.load("formats", name)


def _model(name: str) -> Any:
    return plugins.load("models", name)
