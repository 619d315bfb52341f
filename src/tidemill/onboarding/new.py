"""A new system in `params.yaml`: of a preset, or of what was found in data of one's own."""

import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tidemill.core import plugins
from tidemill.core.errors import TidemillError
from tidemill.core.files import finished_file
from tidemill.core.params import PARAMS_FILE, nearest, read_yaml
from tidemill.formats.common.source import read_rows
from tidemill.onboarding.columns import guessed_task, named_columns, separators
from tidemill.onboarding.decision import Decision, Findings, decide, table
from tidemill.onboarding.defaults import pinned
from tidemill.onboarding.inspection import Inspected, inspect
from tidemill.onboarding.params_text import with_system
from tidemill.onboarding.trial import Trial
from tidemill.project.params import Project, load_project
from tidemill.tasks.common import proposal as tasks


@dataclass(frozen=True)
class Proposal:
    """A new system: what was decided and why, `params.yaml` with it, and the command to run next."""

    name: str
    lines: list[str]
    params: str
    command: str
    trials: list[Trial] = field(default_factory=list)


def propose(
    name: str,
    task: str | None,
    source: str,
    budget: float = 0.0,
    report: Callable[[str], None] = print,
    path: Path = PARAMS_FILE,
) -> Proposal:
    """Inspect data, and decide on every param that a system needs.

    Args:
        name: the name of the new system.
        task: with hyphens or underscores; None guesses it from the data.
        source: a file, a folder, a pattern of files, or the id of a data set on the Hugging Face Hub.
        budget: seconds for trials of the candidates; 0 takes the first candidate without any.
        report: called with a line for each trial.

    Raises:
        TidemillError: the name is taken or is not a valid one, there is no such task, or the data does not fit it.
    """
    project = load_project(path)
    _check_name(name, project, path)
    task = _known_task(task)
    inspected = inspect(source, task is not None and tasks.of(task).WHOLE_DOCUMENTS, Path("data") / name)
    chosen, why = (task, "as requested") if task else guessed_task(inspected)
    names = named_columns(chosen, inspected)
    renamed = {ours: theirs for ours, theirs in names.items() if ours != theirs}
    reading = {"columns": renamed, "lists": separators(chosen, inspected.rows, names)}
    rows = read_rows(inspected.source.model_copy(update=reading)) if any(reading.values()) else inspected.rows
    found = Findings(chosen, _source(inspected, reading), rows[rows["reason"].isna()], pinned(project))
    decision = decide(found, budget, report)
    lines = [
        f"{name}: {len(rows)} rows: {'; '.join(inspected.notes)}",
        f"task {chosen}, {why}",
        *(f"column {ours} is {theirs!r} of the source" for ours, theirs in renamed.items()),
        *decision.notes,
    ]
    return _proposal(name, lines, decision.block, path, decision)


def preset(name: str, chosen: str, path: Path = PARAMS_FILE) -> Proposal:
    """Make one of the presets in `params.yaml` a system.

    Raises:
        TidemillError: the name is taken or is not a valid one, or there is no such preset.
    """
    project = load_project(path)
    _check_name(name, project, path)
    if chosen not in project.presets:
        raise TidemillError(f"{path}: no preset {chosen!r}{nearest(chosen, project.presets)}")
    return _proposal(name, [f"{name}: as the preset {chosen}"], read_yaml(path)["presets"][chosen], path)


def write(proposal: Proposal, path: Path = PARAMS_FILE) -> None:
    """Write the proposed system to `params.yaml`, all other lines of which stay as they are, and the table of its trials."""
    if proposal.trials:
        with finished_file(trials_file(proposal.name)) as partial:
            partial.write_text(table(proposal.trials), encoding="utf-8")
    with finished_file(path) as partial:
        partial.write_bytes(proposal.params.encode())


def trials_file(name: str) -> Path:
    """Return where the trials for a new system are kept."""
    return Path(".tidemill") / "new" / f"{name}.csv"


def _proposal(
    name: str, lines: list[str], block: Mapping[str, Any], path: Path, decision: Decision | None = None
) -> Proposal:
    params = with_system(path.read_bytes().decode("utf-8"), name, block, decision.reasons if decision else [])
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        copy.write_bytes(params.encode())
        load_project(copy)  # as every stage will read it
    return Proposal(name, lines, params, f"tidemill run {name}", decision.trials if decision else [])


def _check_name(name: str, project: Project, path: Path) -> None:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        raise TidemillError(
            f"{name!r} is not a valid system name: use small letters, digits, - and _, starting with a letter or digit"
        )
    if name in project.systems:
        raise TidemillError(f"{path} has a system {name!r} already: choose another name, or remove that block first")


def _known_task(task: str | None) -> str | None:
    """Return the name of a task as its package is called.

    Raises:
        TidemillError: there is none; the nearest name is given.
    """
    names = {name.replace("_", "-"): name for name in plugins.names("tasks")}
    if task is None:
        return None
    hyphenated = task.replace("_", "-")
    if hyphenated not in names:
        raise TidemillError(f"no task {task!r}{nearest(hyphenated, names)}")
    return names[hyphenated]


def _source(inspected: Inspected, reading: Mapping[str, Any]) -> dict[str, Any]:
    """Return the params of the source."""
    given = {"options": inspected.options, **reading}
    source = inspected.source.model_dump(include={"path", "format"})
    return source | {name: value for name, value in given.items() if value}
