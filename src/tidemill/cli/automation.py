"""Commands that run a Prefect flow: search params, monitor inputs, retrain, forget rows, and notify people."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from tidemill.cli.arguments import Input
from tidemill.cli.errors import one_line
from tidemill.core.errors import TidemillError

LIMIT_PASSED = 3
"""Exit code of `tidemill monitor` where a limit was passed; 1 is for one that failed."""

System = Annotated[str, typer.Argument(help="The system, as params.yaml names it.")]


def sweep(
    system: Annotated[str, typer.Argument(help="A system of params.yaml with a `sweep` block.")],
    jobs: Annotated[int, typer.Option(min=1, help="Trials at once.")] = 1,
) -> None:
    """Search better params for a system; the best become sweep-SYSTEM.patch. Started again, a killed sweep resumes."""
    _prepare_prefect()
    from flows.sweep import sweep

    print(_message(sweep(system, jobs, return_state=True)))


def monitor(
    system: System,
    path: Input,
    model: Annotated[str | None, typer.Option(help="Another version than the champion: models:/digits/3.")] = None,
    deployment: Annotated[
        str | None, typer.Option(help="What is started when params ask for it; by default retrain/retrain.")
    ] = None,
    commit: Annotated[
        str | None, typer.Option(help="Take the limits from this commit's params.yaml, not from the folder's.")
    ] = None,
) -> None:
    """Compare new inputs with the champion's test. Exit code 3: a limit was passed."""
    _prepare_prefect()
    from flows.monitor import DRIFTED, monitor
    from flows.settings import RETRAIN

    state = monitor(system, str(path), model, deployment or RETRAIN, commit=commit, return_state=True)
    print(_message(state))
    sys.exit(LIMIT_PASSED if state.name == DRIFTED else 0)


def retrain(
    systems: Annotated[list[str] | None, typer.Argument(metavar="[SYSTEM]…", help="Systems; all by default.")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Stages to run at once; by default one per core.")] = None,
) -> None:
    """Fetch data that change with time, train systems whose data have changed, and propose the outcome on a branch."""
    _prepare_prefect()
    from flows.retrain import retrain

    print(_message(retrain(systems or None, jobs, return_state=True)))


def forget(
    system: System,
    rows: Annotated[
        Path,
        typer.Option(
            "--rows", help="Ids, one a line (.txt); or a table with a column id, or with the texts themselves."
        ),
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show which versions learned from them.")] = False,
    jobs: Annotated[int | None, typer.Option(min=1, help="Stages to run at once; by default one per core.")] = None,
) -> None:
    """Show which versions learned from some rows, train again without them, and propose the outcome on a branch."""
    from tidemill.project.params import load_system
    from tidemill.provenance import forgetting

    with one_line():
        params = load_system(system)
        ids = forgetting.ids_of(rows, params.task, params.ingest)
        versions = forgetting.seen(system, ids)
    lines = [str(one) for one in versions] or [f"no version of {system} learned from any of {len(ids)} rows"]
    print(*lines, sep="\n")
    if dry_run:
        return
    _prepare_prefect()
    from flows.forget import forget

    print(_message(forget(system, ids, jobs, return_state=True)))


def notify(
    where: Annotated[
        str,
        typer.Argument(
            help="A URL, which receives `{'text': …}` and is stored as a secret; or a block from Prefect's page, as "
            "sendgrid-email/team."
        ),
    ],
) -> None:
    """Post a line when a run fails or crashes, a version waits for its review, or data drift."""
    _prepare_prefect()
    from flows.notify import notify

    with one_line():
        print(notify(where))


def predict(
    model: str,
    path: Path,
    output: Path | None,
    rows: int,
    columns: dict[str, str],
    options: dict[str, Any],
    spreadsheet: bool,
) -> None:
    """Predict a file as a Prefect flow run."""
    _prepare_prefect()
    from flows.predict import predict

    target = output and str(output)
    state = predict(model, str(path), target, rows, columns, options, spreadsheet, return_state=True)
    print(_message(state))


def _prepare_prefect() -> None:
    """Set what Prefect reads when it is imported; where no server is named, start one that answers this process alone."""
    from flows import settings

    settings.apply()
    from flows.temporary_server import start_if_none_is_named

    start_if_none_is_named()


def _message(state: Any) -> str:
    """Return the message of a final state of Prefect's; one that did not complete ends the command."""
    with one_line():
        if not state.is_completed():
            raise TidemillError(str(state.message))
    return str(state.message)
