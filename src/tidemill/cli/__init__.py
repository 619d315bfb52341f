"""The command line: what the tools themselves lack. `dvc`, `prefect` and `mlflow` keep their own commands."""

import typer

from tidemill.cli import pipeline, review, serving, versions

app = typer.Typer(
    help="Raw data in, a reviewed, promoted, served model out, and every number reproducible.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(pipeline.fetch)
app.command()(pipeline.new)
app.command(context_settings=pipeline.PASSED_ON)(pipeline.run)
app.command(context_settings=pipeline.PASSED_ON)(pipeline.status)
app.command()(pipeline.doctor)
app.command()(serving.ask)
app.command()(serving.predict)
app.command()(serving.shadow)
app.command()(serving.serve)
app.command()(versions.lineage)
app.command()(versions.compare)
app.command()(versions.reproduce)
app.command()(versions.gc)
app.add_typer(review.app, name="review")
app.command()(review.rollback)
app.command()(review.audit)
