"""Commands that predict with registered versions."""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from tidemill.cli import formatting
from tidemill.cli.arguments import FILE, Input
from tidemill.cli.errors import one_line
from tidemill.core.errors import TidemillError

Model = Annotated[str, typer.Argument(help="The version: models:/digits@champion or models:/digits/3.")]
Output = Annotated[Path | None, typer.Option(help="Where to write; by default beside the input.")]
Rows = Annotated[int, typer.Option(min=1, help="Rows in memory at once.")]
Column = Annotated[
    list[str] | None, typer.Option(metavar="INPUT=COLUMN", help="Which column holds an input: text=review.")
]
Option = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=VALUE", help="An option of the task: temperature=0.2, of a text generator."),
]


def predict(
    model: Model,
    path: Input,
    output: Output = None,
    rows: Rows = 4096,
    column: Column = None,
    option: Option = None,
    spreadsheet: Annotated[
        bool, typer.Option("--spreadsheet", help="An apostrophe before each cell that a spreadsheet would compute.")
    ] = False,
    flow: Annotated[bool, typer.Option("--flow", help="As a Prefect flow run, with progress on its page.")] = False,
) -> None:
    """Predict the rows of a file of any size; a killed run resumes when the same command is given again."""
    with one_line():
        columns, options = renamed(column), chosen(option)
        if flow:
            from tidemill.cli import automation

            return automation.predict(model, path, output, rows, columns, options, spreadsheet)
        from tidemill.serving import batch

        def report(progress: batch.Progress) -> None:
            print(progress, flush=True)

        print(batch.predict(model, path, report, output, rows, columns, options, spreadsheet))


def ask(
    model: Model,
    values: Annotated[
        list[str],
        typer.Argument(
            metavar="VALUE…",
            help="A text; a picture's file; a question and a text, in this order; or a row of a table as JSON.",
        ),
    ],
    option: Option = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Predict one row; what a text generator writes is shown as it comes."""
    from tidemill.serving import typed_row
    from tidemill.serving.loading import load

    with one_line():
        options, predictor = chosen(option), load(model).predictor
        row = typed_row.row(predictor, values)
        if predictor.streams and not as_json:
            for piece in predictor.stream(row, **options):
                print(piece, end="", flush=True)
            print()
            return
        found = predictor.predict(row, **options).iloc[0].to_dict()
    if predictor.predicts_numbers:
        found = {"prediction": float(found["prediction"])}
        text = f"{found['prediction']:.6g}"
    else:
        text = f"{found['prediction'] or '(no answer)'}  ({found['confidence']:.0%} sure)"
    print(json.dumps(found, ensure_ascii=False, default=_plain) if as_json else text)


def shadow(
    system: Annotated[str, typer.Argument(help="The system, as params.yaml names it.")],
    inputs: Annotated[Path, typer.Option(metavar="FILE", help=FILE)],
    labels: Annotated[str | None, typer.Option(metavar="COLUMN", help="The column of the actual labels.")] = None,
    column: Column = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare the challenger with the champion on recorded inputs: agreement, differences, metrics, latency."""
    from tidemill.serving.shadow import shadow

    with one_line():
        found = shadow(system, inputs, labels, renamed(column))
    print(json.dumps(asdict(found), indent=2, ensure_ascii=False) if as_json else "\n".join(formatting.shadow(found)))


def serve(
    model: Model,
    shadow: Annotated[
        str | None, typer.Option(metavar="MODEL", help="The version to compare with it: models:/digits@challenger.")
    ] = None,
    canary: Annotated[
        float, typer.Option(min=0, max=1, help="The share of requests that the shadow predicts instead.")
    ] = 0.0,
    record: Annotated[
        Path | None, typer.Option(help="A file to append all rows and predictions to, as JSON lines.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Where to listen; beyond this machine, TIDEMILL_SERVE_TOKEN is asked for.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: one that is free.")] = 8000,
    refresh: Annotated[float, typer.Option(min=0.1, help="Seconds between checks of where the aliases point.")] = 30.0,
    limit: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A limit instead of that of params.yaml: seconds=30."),
    ] = None,
    log_requests: Annotated[
        bool, typer.Option("--log-requests", help="A JSON line on standard error for each request, without its rows.")
    ] = False,
) -> None:
    """Predict over HTTP, and on a page; let a second version predict the same, unseen, and compare the two."""
    os.environ.setdefault(
        "OMP_NUM_THREADS", "1"
    )  # one core per request, and as many requests at once as there are cores

    from tidemill.serving import access, connections, limits, service, tracing
    from tidemill.serving.live import Live

    def log(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    with one_line():
        if canary and not shadow:
            raise TidemillError("--canary needs --shadow: the version that predicts this share")
        token, chosen_limits = access.token_for(host), limits.of(model, chosen(limit, "--limit", "seconds=30"))
        listener = connections.listen(host, port)
        live, requests = Live(model, log, shadow, canary, record), log if log_requests else None
        app = service.application(live, token, chosen_limits, refresh, _kill, requests)
        tracing.send_traces(app)
    print(f"http://{host}:{listener.getsockname()[1]}", flush=True)
    connections.server(app, chosen_limits).run(sockets=[listener])


def _kill() -> None:
    """End the process whatever its threads wait for: a signal to stop is not to be waited out."""
    os._exit(1)


def renamed(columns: list[str] | None) -> dict[str, str]:
    """Return the input's column names by the task's, from `INPUT=COLUMN`."""
    return _pairs(columns, "--column", "INPUT=COLUMN, as in text=review")


def chosen(options: list[str] | None, flag: str = "--option", example: str = "temperature=0.2") -> dict[str, Any]:
    """Return options by name, from `NAME=VALUE`; a value is written as in `params.yaml`."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    form, found = f"NAME=VALUE, as in {example}", {}
    for name, value in _pairs(options, flag, form).items():
        try:
            found[name] = YAML(typ="safe").load(value)
        except YAMLError as error:
            raise TidemillError(f"{flag} '{name}={value}' is not {form}: its value cannot be read") from error
    return found


def _plain(value: Any) -> Any:
    """Convert a numpy array to what JSON can hold."""
    return value.tolist()


def _pairs(texts: list[str] | None, flag: str, form: str) -> dict[str, str]:
    found = [text.partition("=") for text in texts or ()]
    wrong = ["".join(parts) for parts in found if not all(parts)]
    if wrong:
        raise TidemillError(f"{flag} {wrong[0]!r} is not {form}")
    return {name: value for name, _, value in found}
