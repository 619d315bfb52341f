"""Commands around registered versions: have them answer."""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from tidemill.cli import _told
from tidemill.cli._errors import one_line
from tidemill.errors import TidemillError

FILE = "A .csv, .tsv, .jsonl or .parquet file, or a folder of pictures."
Model = Annotated[str, typer.Argument(help="The version: models:/digits@champion or models:/digits/3.")]
Input = Annotated[Path, typer.Argument(metavar="FILE", help=FILE)]
Output = Annotated[Path | None, typer.Option(help="Where to write; beside the input if not given.")]
Rows = Annotated[int, typer.Option(min=1, help="Rows in memory at once.")]
Column = Annotated[list[str] | None, typer.Option(metavar="OURS=THEIRS", help="Which column is meant: text=review.")]
Option = Annotated[
    list[str] | None, typer.Option(metavar="NAME=VALUE", help="How to answer: temperature=0.2, of a text generator.")
]


def predict(
    model: Model, path: Input, output: Output = None, rows: Rows = 4096, column: Column = None, option: Option = None
) -> None:
    """Answer the rows of a file of any size; a killed run goes on when the same command is given again."""
    from tidemill.serving import batch

    def tell(done: batch.Progress) -> None:
        print(done, flush=True)

    with one_line():
        print(batch.predict(model, path, tell, output, rows, renamed(column), chosen(option)))


def ask(
    model: Model,
    values: Annotated[
        list[str],
        typer.Argument(metavar="VALUE…", help="A text; a picture's file; or a question and a text, in this order."),
    ],
    option: Option = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Have a version answer once; what a text generator writes is shown as it comes."""
    from tidemill.serving import single
    from tidemill.serving.loading import load

    with one_line():
        options, predictor = chosen(option), load(model).predictor
        row = single.row(predictor, values)
        if predictor.streams and not as_json:
            for piece in predictor.stream(row, **options):
                print(piece, end="", flush=True)
            print()
            return
        answer = predictor.predict(row, **options).iloc[0].to_dict()
    told = f"{answer['prediction'] or '(no answer)'}  ({answer['confidence']:.0%} sure)"
    print(json.dumps(answer, ensure_ascii=False, default=_plain) if as_json else told)


def shadow(
    system: Annotated[str, typer.Argument(help="The system, as params.yaml names it.")],
    inputs: Annotated[Path, typer.Option(metavar="FILE", help=FILE)],
    labels: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The column of what would have been right.")
    ] = None,
    column: Column = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Have the challenger answer recorded inputs beside the champion: agreement, differences, metrics, latency."""
    from tidemill.serving.shadow import shadow

    with one_line():
        found = shadow(system, inputs, labels, renamed(column))
    print(json.dumps(asdict(found), indent=2, ensure_ascii=False) if as_json else "\n".join(_told.shadow(found)))


def serve(
    model: Model,
    shadow: Annotated[
        str | None, typer.Option(metavar="MODEL", help="The version to compare with it: models:/digits@challenger.")
    ] = None,
    canary: Annotated[
        float, typer.Option(min=0, max=1, help="The share of requests that the shadow answers instead.")
    ] = 0.0,
    record: Annotated[
        Path | None, typer.Option(help="A file to append all rows and answers to, as JSON lines.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Where to listen; beyond this machine, TIDEMILL_SERVE_TOKEN is asked for.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: one that is free.")] = 8000,
    refresh: Annotated[float, typer.Option(min=0.1, help="Seconds between looks at where the aliases stand.")] = 30.0,
) -> None:
    """Answer over HTTP, and on a page; have a second version answer the same, unseen, and compare the two."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # a core a request, and as many at once as there are cores

    import uvicorn

    from tidemill.serving import service
    from tidemill.serving.live import Live

    def tell(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    with one_line():
        if canary and not shadow:
            raise TidemillError("--canary needs --shadow: the version that answers this share")
        listener = service.listen(host, port)
        app = service.application(Live(model, tell, shadow, canary, record), host, refresh)
    print(f"http://{host}:{listener.getsockname()[1]}", flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run(sockets=[listener])


def renamed(columns: list[str] | None) -> dict[str, str]:
    """Their column name by ours, from `OURS=THEIRS`."""
    return _pairs(columns, "--column", "OURS=THEIRS, as in text=review")


def chosen(options: list[str] | None) -> dict[str, Any]:
    """Options by name, from `NAME=VALUE`; a value is written as in `params.yaml`."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    form, found = "NAME=VALUE, as in temperature=0.2", {}
    for name, value in _pairs(options, "--option", form).items():
        try:
            found[name] = YAML(typ="safe").load(value)
        except YAMLError as error:
            raise TidemillError(f"--option '{name}={value}' is not {form}: its value cannot be read") from error
    return found


def _plain(value: Any) -> Any:
    """What numpy holds, as JSON knows it."""
    return value.tolist()


def _pairs(texts: list[str] | None, flag: str, form: str) -> dict[str, str]:
    found = [text.partition("=") for text in texts or ()]
    wrong = ["".join(parts) for parts in found if not all(parts)]
    if wrong:
        raise TidemillError(f"{flag} {wrong[0]!r} is not {form}")
    return {name: value for name, _, value in found}
