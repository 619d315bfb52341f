"""Commands around the pipeline: fetch data, add a system, check params, run stages."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from tidemill.cli.errors import one_line
from tidemill.core.errors import TidemillError

DVC_FILE = Path("dvc.yaml")
CHECK = "python -m pipelines.check"
"""Command of the stage `check`, by which a folder is known as a project of ours."""
REGISTRATIONS = "artifacts/*/register/registration.json"

Stages = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[STAGE]…", help="Stages (train@digits), groups (train) or systems (digits); all by default."
    ),
]
Downstream = Annotated[bool, typer.Option("--downstream", help="Also what depends on them.")]
Force = Annotated[bool, typer.Option("--force", "-f", help="Also what has not changed.")]
SingleItem = Annotated[bool, typer.Option("--single-item", "-s", help="Only the stages named, not what they need.")]
Recursive = Annotated[bool, typer.Option("--recursive", "-R", help="All stages inside the folders named.")]
Glob = Annotated[bool, typer.Option("--glob", help="The names are patterns: 'train@*'.")]
AllowMissing = Annotated[bool, typer.Option("--allow-missing", help="Skip what has not changed and is only missing.")]


def fetch(
    names: Annotated[list[str] | None, typer.Argument(metavar="[SOURCE]…", help="Sources; all by default.")] = None,
) -> None:
    """Download the raw data of `sources:` in params.yaml into data/, each file checked against its hash."""
    from tidemill.formats.common import source as formats
    from tidemill.project.params import load_project
    from tidemill.sources.fetch import fetch as fetch_sources

    with one_line():
        project = load_project()
        fetch_sources(project.sources, Path("data"), names or None)
        for system in project.systems.values() if not names else ():
            formats.bring(system.source)


def new(
    name: Annotated[str, typer.Argument(help="Name of the new system.")],
    source: Annotated[
        str | None, typer.Option(help="A file, a folder, or the id of a data set of the Hugging Face hub.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="The task; guessed from the data by default.")] = None,
    preset: Annotated[str | None, typer.Option(help="Copy a block of `presets:` in params.yaml instead.")] = None,
    budget: Annotated[
        str,
        typer.Option(help="About how long candidates may be tried on part of the data, e.g. 90s or 10m; 0 tries none."),
    ] = "3m",
) -> None:
    """Inspect data of your own, try what may suit it, and add a system with the best of it to params.yaml."""
    from tidemill.onboarding import new

    with one_line():
        if (source is None) == (preset is None):
            raise TidemillError("give either --source, to inspect data of your own, or --preset")
        proposal = new.preset(name, preset) if preset else new.propose(name, task, str(source), _seconds(budget))
        new.write(proposal)
    kept = [f"trials: {new.trials_file(name)}"] if proposal.trials else []
    print(*proposal.lines, *kept, f"next: {proposal.command}", sep="\n")


def clear() -> None:
    """Take all systems and sources out of params.yaml, and what DVC records of them: an empty project to begin with."""
    from tidemill.onboarding.clear import clear

    with one_line():
        changed = clear()
    print(*changed, "next: commit it, then `tidemill new NAME --source …`; data/ and artifacts/ were left", sep="\n")


def _seconds(duration: str) -> float:
    """Return the seconds of `90s`, `3m`, `1h` or `0`."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", duration)
    if found is None or (not found[2] and float(found[1])):
        raise TidemillError(f"--budget {duration}: give a number with a unit, e.g. 90s, 3m or 1h, or 0")
    return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]]


def check() -> None:
    """Check params.yaml and name every mistake in it."""
    from tidemill.project.params import load_project

    with one_line():
        systems = load_project().systems
    print(f"params.yaml: no mistake; systems: {', '.join(systems) or 'none'}")


def run(
    stages: Stages = None,
    downstream: Downstream = False,
    force: Force = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would run, and why.")] = False,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", "-k", help="After a failure, continue with what does not need it.")
    ] = False,
    jobs: Annotated[int | None, typer.Option(min=1, help="Stages to run at once; by default one per core.")] = None,
    limit: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=N",
            help="At most N at once, of all runs on this machine, of the stages with `meta: {limits: [NAME]}`.",
        ),
    ] = None,
    single_item: SingleItem = False,
    force_downstream: Annotated[
        bool, typer.Option("--force-downstream", help="Of a stage that ran, also what depends on it.")
    ] = False,
    pull: Annotated[bool, typer.Option("--pull", help="Fetch missing data from DVC's remote.")] = False,
    allow_missing: AllowMissing = False,
    no_commit: Annotated[bool, typer.Option("--no-commit", help="Do not put outputs into DVC's cache.")] = False,
    no_run_cache: Annotated[
        bool, typer.Option("--no-run-cache", help="Run stages again that DVC's run cache has the outputs of.")
    ] = False,
    recursive: Recursive = False,
    glob: Glob = False,
) -> None:
    """Bring stages and all they need up to date, independent ones at the same time."""
    from flows.train import run

    parameters = {
        "stages": stages or [],
        "downstream": downstream,
        "force": force,
        "keep_going": keep_going,
        "jobs": jobs,
        "limits": _limits(limit or []),
        "single_item": single_item,
        "force_downstream": force_downstream,
        "pull": pull,
        "allow_missing": allow_missing,
        "no_commit": no_commit,
        "no_run_cache": no_run_cache,
        "recursive": recursive,
        "glob": glob,
    }
    with one_line():
        _check_params()
        code = run(parameters, dry_run)
        if code == 0 and not dry_run:
            _register_again()
    sys.exit(code)


def status(
    stages: Stages = None,
    downstream: Downstream = False,
    force: Force = False,
    single_item: SingleItem = False,
    allow_missing: AllowMissing = False,
    recursive: Recursive = False,
    glob: Glob = False,
) -> None:
    """Show what would run and why, what is up to date, and the next and the last runs of deployments."""
    with one_line():
        _show_agenda()
    run(
        stages,
        downstream,
        force,
        dry_run=True,
        single_item=single_item,
        allow_missing=allow_missing,
        recursive=recursive,
        glob=glob,
    )


def _show_agenda() -> None:
    """Show the next and the last runs of the deployments, where Prefect's server runs."""
    from flows.agenda import agenda_of_running_server, next_and_last

    if entries := agenda_of_running_server():
        from rich.console import Console

        Console().print(next_and_last(entries))


def doctor() -> None:
    """Check this machine, and show the fix of what is missing."""
    from rich.console import Console
    from rich.table import Table

    from tidemill.cli.doctor import checks

    found = checks()
    table = Table("", "what", "found", "fix", box=None)
    for one in found:
        mark = "[green]ok[/]" if one.ok else "[red]missing[/]" if one.needed else "[yellow]note[/]"
        table.add_row(mark, one.name, one.detail, one.fix)
    Console().print(table)
    sys.exit(any(one.needed and not one.ok for one in found))


def _limits(texts: list[str]) -> dict[str, int]:
    """Return limits by name, from `NAME=N`."""
    from flows.limits import LimitError, parse

    try:
        return dict(parse(text) for text in texts)
    except LimitError as error:
        raise typer.BadParameter(str(error), param_hint="--limit") from error


def _check_params() -> None:
    """Find every mistake before any work; another DVC repository than ours has params of its own."""
    if _is_project():
        from tidemill.project.params import load_project

        load_project()


def _is_project() -> bool:
    """Whether `dvc.yaml` has our stage `check`."""
    from tidemill.core.params import read_yaml

    try:
        pipeline = read_yaml(DVC_FILE)
    except TidemillError:  # DVC itself reports what is wrong with the file
        return False
    stages = pipeline.get("stages") if isinstance(pipeline, dict) else None
    stage = stages.get("check") if isinstance(stages, dict) else None
    return isinstance(stage, dict) and stage.get("cmd") == CHECK


def _register_again() -> None:
    """Register on a fresh tracking server what DVC, which cannot see the server, takes for registered."""
    recorded = sorted(Path().glob(REGISTRATIONS)) if _is_project() else []
    if not recorded:
        return
    from tidemill.registry.registration import is_registered

    for file in recorded:
        system = file.parts[1]
        if not is_registered(system, file):
            print(f"{system}: the tracking server lacks the version of {file}; registering it there")
            if _exit_code("repro", "--single-item", "--force", f"register@{system}"):
                raise TidemillError(f"register@{system} failed")


def _exit_code(*arguments: str) -> int:
    """Run a DVC command to its end; Ctrl-C and SIGTERM end it and the stage that it runs."""
    from tidemill.repository.dvc import DVC

    def terminate(number: int, _frame: object) -> NoReturn:
        sys.exit(128 + number)

    process = subprocess.Popen([*DVC, "--wait-for-lock", *arguments], start_new_session=True)
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        return process.wait()
    finally:
        signal.signal(signal.SIGTERM, before)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
