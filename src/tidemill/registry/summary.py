"""What a reviewer needs first of a version, as Markdown: its main metric, baselines and champion, report and command."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tidemill.core.intervals import Interval
from tidemill.registry import content, versions
from tidemill.registry.documents import read_object
from tidemill.tracking import tags

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion


def summary(
    client: "MlflowClient", version: "ModelVersion", evaluation: Mapping[str, Any], champion: "ModelVersion | None"
) -> list[str]:
    """Return one line each for the main metric, every baseline, the champion, the report, and how to approve.

    Args:
        evaluation: `evaluation.json` of the version.
        champion: the version in service, if there is one.
    """
    metric = evaluation["main_metric"]
    lines = [f"**{metric} {_interval(evaluation['metrics'][metric])}** on {evaluation['test_set']['rows']:,} test rows"]
    for name, metrics in evaluation["baselines"].items():
        lines.append(f"- baseline {name}: {_interval(metrics.get(metric))}")
    run = client.get_run(str(version.run_id)).info
    report = f"{version.tags[tags.FOLDER]}/{versions.REPORT}"
    return [
        *lines,
        f"- champion: {_champion(version, metric, champion)}",
        f"- report: [{versions.REPORT}](#/experiments/{run.experiment_id}/runs/{run.run_id}/artifacts/{report})",
        f"- to approve: `{command('approve', version)}`",
    ]


def command(decision: str, version: "ModelVersion") -> str:
    """Return the command of a decision on a version: `approve` or `reject`."""
    return f"tidemill review {decision} {version.name} {version.version} --why '…'"


def evaluation_of(version: "ModelVersion") -> dict[str, Any]:
    """Return the `evaluation.json` that was registered with a version."""
    with TemporaryDirectory() as scratch:
        return read_object(content.file(version, versions.EVALUATION, Path(scratch)), versions.EVALUATION)


def _champion(version: "ModelVersion", metric: str, champion: "ModelVersion | None") -> str:
    if champion is None:
        return "none yet"
    if str(champion.version) == str(version.version):
        return "this version"
    tests = [one.tags.get(tags.TEST_SET) for one in (champion, version)]
    where = "the same test rows" if tests[0] == tests[1] else "its own test rows, which were others"
    measured = evaluation_of(champion)["metrics"].get(metric)
    return f"version {champion.version}, {metric} {_interval(measured)} on {where}"


def _interval(measured: Interval | None) -> str:
    if measured is None:
        return "not measured"
    return f"{measured['value']:.4f} [{measured['low']:.4f}, {measured['high']:.4f}]"
