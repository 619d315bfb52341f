"""A block of `params.yaml` for data of one's own: what was found in it, and what is proposed for it."""

import io
import math
import re
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from tidemill import config
from tidemill.data.columns import ROLES, guessed_task, named_columns, separators
from tidemill.data.defaults import proposed
from tidemill.data.expectations import MOST_LABELS
from tidemill.data.formats import read_rows
from tidemill.data.inspection import Found, look
from tidemill.errors import TidemillError
from tidemill.files import finished_file

MINIMUM_ROWS = config.Validate().minimum_rows


@dataclass(frozen=True)
class Proposal:
    """A new system: what was decided and why, `params.yaml` with it, and the command to run next."""

    name: str
    lines: list[str]
    params: str
    command: str


def propose(name: str, task: str | None, source: str, path: Path = config.PARAMS_FILE) -> Proposal:
    """Look at the data, and decide on every param a system needs.

    Args:
        name: The name of the system.
        task: With hyphens or underscores; None guesses it from the data.
        source: A file, a folder, a pattern of files, or the id of a data set on the Hugging Face Hub.

    Raises:
        TidemillError: the name is taken or no name, there is no such task, or the data does not fit it.
    """
    project = config.load_project(path)
    _check_name(name, project, path)
    task = _known_task(task)
    found = look(source, task, Path("data") / name)
    chosen, why = (task, "as asked for") if task else guessed_task(found)
    columns = named_columns(chosen, found)
    renamed = {ours: theirs for ours, theirs in columns.items() if ours != theirs}
    reading = {"columns": renamed, "lists": separators(found.rows, columns)}
    rows = read_rows(found.source.model_copy(update=reading)) if any(reading.values()) else found.rows
    block, notes = _block(chosen, found, reading, rows[rows["reason"].isna()], project)
    lines = [
        f"{name}: {len(rows)} rows: {'; '.join(found.notes)}",
        f"task {chosen}, {why}",
        *(f"{ours} is their column {theirs!r}" for ours, theirs in renamed.items()),
        *notes,
    ]
    added = _inserted(path.read_bytes().decode("utf-8"), name, block)
    _check(added, path)
    return Proposal(name, lines, added, f"tidemill run {name}")


def preset(name: str, chosen: str, path: Path = config.PARAMS_FILE) -> Proposal:
    """Make a system of one of the presets in `params.yaml`.

    Raises:
        TidemillError: the name is taken or no name, or there is no such preset.
    """
    project = config.load_project(path)
    _check_name(name, project, path)
    if chosen not in project.presets:
        raise TidemillError(f"{path}: no preset {chosen!r}{config.nearest(chosen, project.presets)}")
    block = config.read_yaml(path)["presets"][chosen]
    added = _inserted(path.read_bytes().decode("utf-8"), name, block)
    _check(added, path)
    return Proposal(name, [f"{name}: as the preset {chosen}"], added, f"tidemill run {name}")


def write(proposal: Proposal, path: Path = config.PARAMS_FILE) -> None:
    """Put the proposed block into `params.yaml`, which stays as it is but for the lines that are added."""
    with finished_file(path) as partial:
        partial.write_bytes(proposal.params.encode())


def _check_name(name: str, project: config.Project, path: Path) -> None:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        raise TidemillError(f"{name!r} is no name of a system: small letters, digits, - and _, a letter or digit first")
    if name in project.systems:
        raise TidemillError(f"{path} has a system {name!r} already: choose another name, or remove that block first")


def _known_task(task: str | None) -> str | None:
    tasks = [name for name in config.plugin_names("tidemill.tasks") if name in ROLES]
    if task is None or task.replace("-", "_") in tasks:
        return task and task.replace("-", "_")
    raise TidemillError(f"no task {task!r}; there are: {', '.join(name.replace('_', '-') for name in tasks)}")


def _block(
    task: str, found: Found, reading: Mapping[str, Any], rows: pd.DataFrame, project: config.Project
) -> tuple[dict[str, Any], list[str]]:
    """The params of the new system, and a sentence for each thing that is worth one."""
    params, notes = proposed(task, rows, project.systems)
    options = {"options": found.options} if found.options else {}
    told = {name: value for name, value in reading.items() if value}
    labels = _labels(task, rows)
    ingest, validate, doubts = _shares(rows, labels)
    source = {"path": found.source.path, "format": found.source.format, **options, **told}
    outside = Path(found.source.path).is_absolute()
    if outside:
        doubts.append(f"{found.source.path} lies outside this folder: on another machine it may not be there")
    return {
        "task": task,
        "source": source,
        "ingest": ingest,
        "validate": validate,
        "tokenize": params["tokenize"],
        "model": params["model"],
        "training": params["training"],
        "evaluate": {},
        "gates": params["gates"],
    }, [
        *([] if labels is None else _label_notes(task, labels, rows)),
        *notes,
        f"model {params['model']['name']}, {params['training']['epochs']} epochs",
        *doubts,
    ]


def _labels(task: str, rows: pd.DataFrame) -> "pd.Series[Any] | None":
    """Every label of every row, where rows have any."""
    if "labels" in ROLES[task]:
        return rows["labels"].explode()
    return rows["label"] if "label" in ROLES[task] else None


def _label_notes(task: str, labels: "pd.Series[Any]", rows: pd.DataFrame) -> list[str]:
    counts = labels.value_counts()
    if len(counts) < 2 and "label" in ROLES[task]:
        raise TidemillError(
            f"all {len(labels)} rows have the label {counts.index[0]!r}: a classifier needs two classes"
        )
    if len(counts) > MOST_LABELS:
        raise TidemillError(
            f"{len(counts):,} labels, but at most {MOST_LABELS:,} can be told apart: merge the rare ones"
        )
    shown = ", ".join(f"{label} {count / len(rows):.1%}" for label, count in counts.head(8).items())
    more = f" and {len(counts) - 8} more" if len(counts) > 8 else ""
    missing = f"; {labels.isna().sum()} rows have none" if labels.isna().any() else ""
    return [f"{len(counts)} labels: {shown}{more}{missing}"]


def _shares(rows: pd.DataFrame, labels: "pd.Series[Any] | None") -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """`ingest` and `validate` for that many rows, and doubts. A hash places each row, so shares hold on average only."""
    given = set(rows["split"].dropna())
    share = 0.1 if _least(len(rows), 0.1) >= MINIMUM_ROWS else 0.2
    ingest = {name: share for name in ("valid", "test") if name not in given}
    least = min([_least(len(rows), share), *(int((rows["split"] == name).sum()) for name in given)])
    validate: dict[str, Any] = {} if least >= MINIMUM_ROWS else {"minimum_rows": max(1, least)}
    doubts = [f"only {len(rows)} rows: the intervals of its metrics will be wide"] if validate else []
    if labels is not None and _least(int(labels.value_counts().min()), share) < 0.01 * share * len(rows):
        validate["minimum_share"] = 0.0
        doubts.append("its rarest label may be missing from a split, so validate.minimum_share is 0")
    return ingest, validate, doubts


def _least(rows: int, share: float) -> int:
    """Rows a split of that share has at least, but for one time in a thousand (three standard deviations)."""
    return int(rows * share - 3 * math.sqrt(rows * share * (1 - share)))


def _inserted(text: str, name: str, block: Mapping[str, Any]) -> str:
    """The text of `params.yaml` with a block at the end of `systems`, all other lines as they were."""
    lines = text.splitlines(keepends=True)
    start, end = _systems(text, len(lines))
    ending = "\r\n" if lines[start].endswith("\r\n") else "\n"
    indent = next(
        (line[: len(line) - len(line.lstrip())] for line in lines[start + 1 : end] if _is_content(line)), "  "
    )
    added = [f"{indent}{name}:", *(f"{indent}  {_flow(key, value)}" for key, value in block.items())]
    head = lines[:end]
    if not head[-1].endswith("\n"):
        head[-1] += ending
    spaced = [] if start + 1 == end else [""]
    tail = [ending] if lines[end:] and lines[end].strip() else []
    return "".join([*head, *(line + ending for line in [*spaced, *added]), *tail, *lines[end:]])


def _systems(text: str, count: int) -> tuple[int, int]:
    """The line of `systems:`, and the line after its last block."""
    from ruamel.yaml import YAML

    yaml: Any = YAML()
    params = yaml.load(text)
    lines = text.splitlines()
    start = params.lc.key("systems")[0]
    if lines[start].split("#")[0].strip() != "systems:":
        raise TidemillError(f"line {start + 1}: write `systems:` on a line of its own, and a block for each below it")
    following = [line for line in (params.lc.key(key)[0] for key in params) if line > start]
    end = min(following, default=count)
    while end > start + 1 and not _is_content(lines[end - 1]):
        end -= 1
    return start, end


def _is_content(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _flow(key: str, value: Any) -> str:
    """One line of YAML, as the other blocks are written."""
    from ruamel.yaml import YAML

    yaml: Any = YAML()
    stream = io.StringIO()
    yaml.default_flow_style, yaml.width = True, sys.maxsize
    yaml.dump({key: value}, stream)
    return stream.getvalue().strip()[1:-1]


def _check(text: str, path: Path) -> None:
    """Make sure that the text is params as every stage will read them."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        copy.write_bytes(text.encode())
        config.load_project(copy)
