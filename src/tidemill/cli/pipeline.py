"""Commands around the pipeline: bring data, add a system, run, look."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from tidemill.cli._errors import one_line
from tidemill.errors import TidemillError

FLOW = Path(__file__).resolve().parents[3] / "flows" / "train.py"
PASSED_ON = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}


def fetch(
    names: Annotated[list[str] | None, typer.Argument(metavar="SOURCE", help="Sources; all if none is named.")] = None,
) -> None:
    """Bring the raw data of `sources:` in params.yaml into data/, each file checked against its hash."""
    from tidemill.config import load_project
    from tidemill.data import formats
    from tidemill.data.fetch import fetch as fetch_sources

    with one_line():
        project = load_project()
        fetch_sources(project.sources, Path("data"), names or None)
        for system in project.systems.values() if not names else ():
            formats.bring(system.source)


def new(
    name: Annotated[str, typer.Argument(help="What the system is to be called.")],
    source: Annotated[
        str | None, typer.Option(help="A file, a folder, or the id of a data set of the Hugging Face hub.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="What is asked of the data; guessed from it if not given.")] = None,
    preset: Annotated[str | None, typer.Option(help="Take a block of `presets:` in params.yaml instead.")] = None,
) -> None:
    """Look at data of your own, add a system for it to params.yaml, and say what was decided and why."""
    from tidemill.data import new

    with one_line():
        if (source is None) == (preset is None):
            raise TidemillError("give either --source, to look at data of your own, or --preset")
        proposal = new.preset(name, preset) if preset else new.propose(name, task, str(source))
        new.write(proposal)
    print(*proposal.lines, f"next: {proposal.command}", sep="\n")


def run(context: typer.Context) -> None:
    """Bring stages and all they need up to date, independent ones at the same time (`tidemill run --help`: all options)."""
    with one_line():
        _check_params()
        code = _flow(context.args)
        if code == 0 and not {"--dry-run", "--help"} & set(context.args):
            _register_again()
    sys.exit(code)


def status(context: typer.Context) -> None:
    """Show what would run and why, and what is up to date."""
    with one_line():
        _check_params()
    sys.exit(_flow(["--dry-run", *context.args]))


def doctor() -> None:
    """Say what is missing on this machine, and the fix."""
    from rich.console import Console
    from rich.table import Table

    from tidemill.doctor import doctor as look

    checks = look()
    table = Table("", "what", "found", "fix", box=None)
    for check in checks:
        mark = "[green]ok[/]" if check.ok else "[red]missing[/]" if check.needed else "[yellow]note[/]"
        table.add_row(mark, check.name, check.detail, check.fix)
    Console().print(table)
    sys.exit(any(check.needed and not check.ok for check in checks))


def _check_params() -> None:
    """Find every mistake before any work; another DVC repository than ours has params of its own."""
    from tidemill.config import PARAMS_FILE, load_project

    if PARAMS_FILE.exists() and "systems:" in PARAMS_FILE.read_text(encoding="utf-8"):
        load_project()


def _flow(arguments: list[str]) -> int:
    """Run the train flow in a process of its own: it imports DVC and Prefect, which this package does not."""
    return subprocess.call([sys.executable, str(FLOW), *arguments])


def _register_again() -> None:
    """Give a fresh tracking server the versions that DVC, which cannot see the server, takes for registered."""
    recorded = sorted(Path("artifacts").glob("*/register/registration.json"))
    if not recorded:
        return
    from tidemill.registry.registration import is_registered

    for file in recorded:
        system = file.parts[1]
        if not is_registered(system, file):
            print(f"{system}: the tracking server lacks the version of {file}; registering it there")
            command = ["-m", "dvc", "--wait-for-lock", "repro", "--single-item", "--force", f"register@{system}"]
            if subprocess.call([sys.executable, *command]):
                raise TidemillError(f"register@{system} failed")
