"""What is shown of a plan and of a run: tables on the terminal, Markdown in Prefect."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from flows.graph import Plan, Stage, may_change
from flows.stages import Outcome
from tidemill.core.files import read_json

REGISTRATION = "artifacts/*/register/registration.json"
"""What the register stage writes: name, version and run of a model."""
STYLES = {
    "run": "yellow",
    "may run": "cyan",
    "cached": "green",
    "completed": "green",
    "failed": "red",
    "running": "yellow",
    "waiting": "dim",
}


def plan_table(plan: Plan) -> Table:
    """Show what would run and why, what may run, and what is cached."""
    changing = set(may_change(plan))
    table = _table("stage", "would", "why")
    for stage in plan.values():
        state = "run" if stage.reasons else "may run" if stage.address in changing else "cached"
        _add(table, stage.address, state, _why(stage, plan, changing))
    return table


def result_table(plan: Plan, outcomes: dict[str, Outcome]) -> Table:
    """Show how each stage of a run ended."""
    table = _table("stage", "state", "seconds", "note")
    for address, state, seconds, note in _results(plan, outcomes):
        _add(table, address, state, seconds, note)
    return table


def markdown(plan: Plan, outcomes: dict[str, Outcome], metrics: dict[str, Any]) -> str:
    """Show how each stage ended and why it ran, the metrics DVC keeps of it, and its reports."""
    rows = ["| stage | state | seconds | why | note |", "| --- | --- | ---: | --- | --- |"]
    for address, how, seconds, more in _results(plan, outcomes):
        cells = (address, how, seconds, _cause(plan[address], outcomes), more)
        rows.append(f"| {' | '.join(map(_cell, cells))} |")
    figures = [f"| {_cell(stage)} | {_cell(name)} | {value} |" for stage, name, value in _figures(metrics)]
    if figures:
        rows += ["", "| stage | metric | value |", "| --- | --- | ---: |", *figures]
    return "\n".join([*rows, "", *(line for stage in plan.values() for line in links(stage))])


def _why(stage: Stage, plan: Plan, changing: set[str]) -> str:
    if stage.reasons:
        return "; ".join(stage.reasons)
    upstream = [need for need in stage.needs if need in changing and not plan[need].constant]
    return f"if {', '.join(upstream)} gives another output" if upstream else ""


def _cause(stage: Stage, outcomes: dict[str, Outcome]) -> str:
    """Say why a stage ran: what DVC found before the run, or what has run before it."""
    outcome = outcomes.get(stage.address)
    if outcome is None or outcome.kind in ("restored", "unchanged"):
        return ""
    upstream = [need for need in stage.needs if need in outcomes and outcomes[need].kind in ("ran", "restored")]
    return "; ".join(stage.reasons) or f"another output of {', '.join(upstream)}"


def _results(plan: Plan, outcomes: dict[str, Outcome]) -> Iterator[tuple[str, str, str, str]]:
    for address in plan:
        outcome = outcomes.get(address)
        if outcome is None:
            yield address, "not run", "", "another stage failed first"
        else:
            yield address, state(outcome), f"{outcome.seconds:.1f}", note(outcome)


def state(outcome: Outcome) -> str:
    """Return how a stage ended, in one word."""
    names = {
        "ran": "completed",
        "restored": "cached",
        "unchanged": "cached",
        "interrupted": "failed",
    }
    return names.get(outcome.kind, outcome.kind)


def note(outcome: Outcome) -> str:
    """Return what else there is to say of it, in one line."""
    if outcome.kind == "restored":
        return "from DVC's run cache"
    return outcome.error


def _figures(metrics: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    for address, content in metrics.items():
        for name, value in _leaves(content):
            yield address, name, value


def _leaves(content: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Flatten nested metrics to `a.b.c`; texts and lists are no figures."""
    if isinstance(content, dict):
        for name, value in content.items():
            yield from _leaves(value, f"{prefix}.{name}" if prefix else str(name))
    elif isinstance(content, int | float) and not isinstance(content, bool):
        yield prefix, f"{content:.6g}"


def links(stage: Stage) -> list[str]:
    """Say where the pages of a stage are: reports, as paths, since Prefect's page may not open files; MLflow's, as links."""
    made = [path for path in stage.outputs if path.exists()]
    reports = [f"- {stage.address}: `{path}`" for path in made if path.suffix == ".html"]
    return reports + [f"- {stage.address}: {_registered(path)}" for path in made if path.match(REGISTRATION)]


def _registered(registration: Path) -> str:
    """Link a version and its run; `make ui` serves them where no server is named."""
    recorded = read_json(registration)
    tracking = os.environ.get("MLFLOW_TRACKING_URI", "")
    page = tracking if tracking.startswith("http") else f"http://127.0.0.1:{os.environ.get('MLFLOW_PORT', '5000')}"
    name, version = recorded["name"], recorded["version"]
    return (
        f"[version {version}]({page}/#/models/{name}/versions/{version}), [its run]({page}/#/runs/{recorded['run_id']})"
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column == "seconds" else "left", overflow="fold")
    return table


def _add(table: Table, address: str, how: str, *cells: str) -> None:
    table.add_row(escape(address), styled(how), *map(escape, cells))


def styled(state: str) -> str:
    """Return a word for a state in its colour, as markup of rich's."""
    style = STYLES.get(state, "magenta")
    return f"[{style}]{state}[/{style}]"
