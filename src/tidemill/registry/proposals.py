"""What a person reviews before a decision."""

from typing import TYPE_CHECKING, Any

from tidemill.core.errors import TidemillError
from tidemill.registry import champion as in_service
from tidemill.registry import content, flips, statement, versions
from tidemill.registry.promotion import version_of
from tidemill.registry.summary import command, evaluation_of, summary
from tidemill.tasks.common import rows as task_rows
from tidemill.tracking import tags

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

SHOWN = 10
"""Test rows whose prediction turned right or wrong that are listed."""


def waiting(client: "MlflowClient") -> list[str]:
    """Return one line for each challenger that is not the champion."""
    lines = []
    for model in client.search_registered_models():
        number = model.aliases.get(tags.CHALLENGER)
        if number is not None and number != model.aliases.get(tags.CHAMPION):
            lines.append(_waiting(client.get_model_version(model.name, str(number))))
    return lines


def _waiting(version: "ModelVersion") -> str:
    """Return what was signed of a challenger; of an older one, or where that is changed, say so."""
    place, found = f"{version.name} {version.version}", version.tags
    try:
        stated = statement.of(version)
    except TidemillError as error:
        return f"{place}: WRONG: {error}"
    if stated is None:
        by, compared = found.get(tags.PROPOSER, "nobody named"), found.get(tags.COMPARED, "none")
        return f"{place} by {by}, champion {compared}: {found.get(tags.REASON, '')} ({content.MODEL_ONLY})"
    return f"{place} by {stated.by}, champion {stated.compared}: {stated.reason}"


def challenger(client: "MlflowClient", system: str) -> str:
    """Return the number of the version that waits for a decision.

    Raises:
        TidemillError: none does.
    """
    from mlflow.exceptions import MlflowException

    try:
        aliases = client.get_registered_model(system).aliases
    except MlflowException as error:
        raise TidemillError(f"the registry has no system {system}: `tidemill review list` shows what waits") from error
    if tags.CHALLENGER not in aliases or aliases[tags.CHALLENGER] == aliases.get(tags.CHAMPION):
        raise TidemillError(f"{system}: no version waits for a decision")
    return str(aliases[tags.CHALLENGER])


def describe(client: "MlflowClient", system: str, version: str) -> str:
    """Describe a version as Markdown: its summary, the gates, examples that flip, the documents, and both commands.

    Raises:
        TidemillError: there is no such version, or its evaluation cannot be read.
    """
    proposed, champion = version_of(client, system, version), in_service.by_log(client, system)
    stated = statement.of(proposed)
    documents = f"{client.get_run(str(proposed.run_id)).info.artifact_uri}/{proposed.tags[tags.FOLDER]}"
    names = (versions.REPORT, versions.CARD, versions.LINEAGE)
    parts = [
        [f"# {system} {version}, proposed by {stated.by if stated else _unsigned(proposed)}"],
        summary(client, proposed, evaluation_of(proposed), champion),
        [gates_of(proposed)],
        [f"By what was signed, it {'passed' if stated.passed else 'did not pass'}: {stated.reason}"] if stated else [],
        flipped(champion, proposed) if champion else ["There is no champion."],
        [f"- {documents}/{name}" for name in names],
        [command(decision, proposed) for decision in ("approve", "reject")],
    ]
    return "\n\n".join("\n".join(part) for part in parts if part)


def _unsigned(version: "ModelVersion") -> str:
    return f"{version.tags.get(tags.PROPOSER, 'nobody named')} ({content.MODEL_ONLY}: register it again to promote it)"


def gates_of(version: "ModelVersion") -> str:
    """Return what the gates found: the last paragraph of a version's description."""
    return str(version.description or "its gates were not checked").rpartition("\n\n")[2]


def flipped(champion: "ModelVersion", proposed: "ModelVersion") -> list[str]:
    """Return how many test rows are predicted otherwise than by the champion, and those that turn right or wrong."""
    found = flips.between(champion, proposed)
    if found is None:
        return ["No row of this task is simply right or wrong: see the report."]
    fixed, broken, changed = found.fixed, found.broken, int(found.changed.sum())
    targets = list(task_rows.of(found.task).TARGETS)
    lines = [
        f"- {row['id']}: is {_text(row[targets])}, champion predicts {row['prediction_before']}, "
        f"proposed predicts {row['prediction_after']}"
        for _, row in found.rows.loc[fixed.index.union(broken.index)].head(SHOWN).iterrows()
    ]
    head = (
        f"Of {len(found.rows)} test rows {changed} are predicted otherwise than by champion {champion.version}: "
        f"{len(fixed)} become right and {len(broken)} become wrong."
    )
    return [head, *lines]


def _text(targets: "pd.Series[Any]") -> str:
    return ", ".join(map(str, targets))
