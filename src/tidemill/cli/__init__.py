"""The command line: what the tools themselves lack. `dvc`, `prefect` and `mlflow` keep their own commands."""

import os

import typer

from tidemill.cli import automation, pipeline, review, serving, versions
from tidemill.repository.dvc import site_cache

app = typer.Typer(
    help="Raw data in, a reviewed, promoted, served model out, and every number reproducible.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def _keep_dvcs_records_apart() -> None:
    """Raw data in, a reviewed, promoted, served model out, and every number reproducible."""
    os.environ.update(site_cache())


app.command()(pipeline.fetch)
app.command()(pipeline.new)
app.command()(pipeline.clear)
app.command()(pipeline.check)
app.command()(pipeline.run)
app.command()(pipeline.status)
app.command()(pipeline.doctor)
app.command()(automation.sweep)
app.command()(automation.monitor)
app.command()(automation.retrain)
app.command()(automation.forget)
app.command()(automation.notify)
app.command()(serving.ask)
app.command()(serving.predict)
app.command()(serving.shadow)
app.command()(serving.serve)
app.command()(versions.lineage)
app.command()(versions.compare)
app.command()(versions.reproduce)
app.command()(versions.verify)
app.command()(versions.gc)
app.add_typer(review.app, name="review")
app.command()(review.rollback)
app.command()(review.audit)
