"""What registering found of a version, written on it: signed for those who decide, as tags and text for MLflow's page."""

from typing import TYPE_CHECKING

from tidemill.registry import champion, checks, statement
from tidemill.registry.candidate import Candidate
from tidemill.registry.identity import proposer
from tidemill.registry.summary import summary
from tidemill.tracking import tags

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion


def record(
    client: "MlflowClient",
    version: "ModelVersion",
    found: list[checks.Check],
    files: dict[str, str],
    proposed: dict[str, str | None],
    serving: "ModelVersion | None",
) -> "ModelVersion":
    """State what the version holds, who proposed it, whether it passed and why, in numbers; and show it as tags.

    What is stated of the champion stays as it was approved.
    """
    if serving is not None and serving.version == version.version:
        return version
    needed = [check for check in found if check.needed_by == tags.CHALLENGER]
    passed = all(check.passed for check in needed)
    if proposed["proposer"] is None:  # nobody was known when it was made
        proposed = proposal()
    stated = statement.Statement(
        name=str(version.name),
        version=str(version.version),
        files=files,
        **proposed,
        passed=passed,
        reason="; ".join(check.sentence for check in needed if check.passed == passed),
        compared=str(serving.version) if serving else champion.NO_CHAMPION,
    )
    statement.write(client, stated)
    for tag, value in stated.as_tags().items():
        if version.tags.get(tag) != value:
            client.set_model_version_tag(version.name, version.version, tag, value)
    return client.get_model_version(version.name, version.version)


def proposal() -> dict[str, str | None]:
    """Return who proposes what is registered now, and how that is known."""
    found = proposer()
    return {"proposer": found.who if found else None, "identity": found.source if found else None}


def describe(
    client: "MlflowClient",
    version: "ModelVersion",
    found: list[checks.Check],
    candidate: Candidate,
    serving: "ModelVersion | None",
) -> None:
    """Write the version's description for its page in MLflow: the summary, and in the last paragraph the gates."""
    lines = [f"- {'passed' if check.passed else '**not passed**'}: {check.sentence}" for check in found]
    stated = statement.of(version)
    head = summary(client, version, candidate.evaluation, serving)
    by = f"- proposed by {stated.by if stated else 'nobody named'}"
    description = "\n".join([*head, by, "", *lines])
    client.update_model_version(version.name, version.version, description=description)


def move_alias(client: "MlflowClient", version: "ModelVersion", passed: bool) -> None:
    """Point `challenger` to a version that passed; remove it from one that does not pass any more."""
    if passed:
        client.set_registered_model_alias(version.name, tags.CHALLENGER, version.version)
    elif str(client.get_registered_model(version.name).aliases.get(tags.CHALLENGER)) == str(version.version):
        client.delete_registered_model_alias(version.name, tags.CHALLENGER)
