"""Commands around the pipeline: fetch data, add a system, check params, run stages."""

import os
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
Force = Annotated[bool, typer.Option("--force", help="Also what has not changed.")]
KeepGoing = Annotated[bool, typer.Option("--keep-going", help="After a failure, continue with what does not need it.")]
Jobs = Annotated[int | None, typer.Option(min=1, help="Stages to run at once; by default one per core.")]
Limit = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=N", help="At most N at once of the stages with `meta: {limits: [NAME]}`."),
]


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
) -> None:
    """Inspect data of your own, add a system for it to params.yaml, and explain what was decided and why."""
    from tidemill.onboarding import new

    with one_line():
        if (source is None) == (preset is None):
            raise TidemillError("give either --source, to inspect data of your own, or --preset")
        proposal = new.preset(name, preset) if preset else new.propose(name, task, str(source))
        new.write(proposal)
    print(*proposal.lines, f"next: {proposal.command}", sep="\n")


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
    keep_going: KeepGoing = False,
    jobs: Jobs = None,
    limit: Limit = None,
) -> None:
    """Bring stages and all they need up to date, independent ones at the same time."""
    with one_line():
        _check_params()
    code = _run_flow(stages, downstream, force, dry_run, keep_going, jobs, limit)
    if code == 0 and not dry_run:
        with one_line():
            _register_again()
    sys.exit(code)


def status(stages: Stages = None, downstream: Downstream = False, force: Force = False) -> None:
    """Show what would run and why, and what is up to date."""
    with one_line():
        _check_params()
    sys.exit(_run_flow(stages, downstream, force, dry_run=True))


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


def _run_flow(
    stages: list[str] | None,
    downstream: bool,
    force: bool,
    dry_run: bool = False,
    keep_going: bool = False,
    jobs: int | None = None,
    limit: list[str] | None = None,
) -> int:
    """Run the train flow in this process, which ends its stages on Ctrl-C and SIGTERM; return the exit code."""
    from flows.train import main

    try:
        main(stages, downstream, force, dry_run, keep_going, jobs, limit)
    except SystemExit as ended:
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
            return 1
        return ended.code or 0
    return 0


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
