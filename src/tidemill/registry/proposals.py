"""What a person who is to decide looks at."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tidemill.data.tables import read_table
from tidemill.errors import TidemillError
from tidemill.registry.admission import PROPOSER_TAG, REASON_TAG
from tidemill.registry.champion import COMPARED_TAG, find
from tidemill.registry.promotion import version_of
from tidemill.registry.tracking import FOLDER_TAG

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

MOST_FLIPPED = 10


def waiting(client: "MlflowClient") -> list[str]:
    """One line for each challenger that is not the champion."""
    lines = []
    for model in client.search_registered_models():
        challenger = model.aliases.get("challenger")
        if challenger is not None and challenger != model.aliases.get("champion"):
            tags = client.get_model_version(model.name, str(challenger)).tags
            by, compared = tags.get(PROPOSER_TAG, "nobody named"), tags.get(COMPARED_TAG, "none")
            lines.append(f"{model.name} {challenger} by {by}, champion {compared}: {tags.get(REASON_TAG, '')}")
    return lines


def challenger(client: "MlflowClient", system: str) -> str:
    """The number of the version that waits for a decision.

    Raises:
        TidemillError: none does.
    """
    from mlflow.exceptions import MlflowException

    try:
        aliases = client.get_registered_model(system).aliases
    except MlflowException as error:
        raise TidemillError(f"the registry has no system {system}: `tidemill review list` shows what waits") from error
    if "challenger" not in aliases or aliases["challenger"] == aliases.get("champion"):
        raise TidemillError(f"{system}: no version waits for a decision")
    return str(aliases["challenger"])


def describe(client: "MlflowClient", system: str, version: str) -> str:
    """Gates with the comparison, flipped examples, and where the documents are, as Markdown.

    Raises:
        TidemillError: there is no such version.
    """
    proposed, champion = version_of(client, system, version), find(client, system)
    documents = f"{client.get_run(str(proposed.run_id)).info.artifact_uri}/{proposed.tags[FOLDER_TAG]}"
    return "\n".join(
        [
            f"# {system} {version}, proposed by {proposed.tags.get(PROPOSER_TAG, 'nobody named')}",
            str(proposed.description or "its gates were not asked"),
            "",
            *(flipped(client, champion, proposed) if champion else ["There is no champion."]),
            "",
            *(f"- {documents}/{name}" for name in ("report.html", "model-card.md", "lineage.json")),
        ]
    )


def flipped(client: "MlflowClient", champion: "ModelVersion", proposed: "ModelVersion") -> list[str]:
    """The test rows that one of two versions gets right and the other does not."""
    with TemporaryDirectory() as old, TemporaryDirectory() as new:
        both = [
            read_table(
                Path(client.download_artifacts(str(one.run_id), f"{one.tags[FOLDER_TAG]}/predictions.parquet", folder))
            )
            for one, folder in ((champion, old), (proposed, new))
        ]
    if not all({"label", "prediction"} <= set(table) for table in both):
        return ["No row of this task is simply right or wrong: see the report."]
    rows = both[0].merge(both[1], on="id", suffixes=("_old", "_new"))
    was, now = rows["prediction_old"] == rows["label_old"], rows["prediction_new"] == rows["label_new"]
    changed = rows[was != now]
    lines = [
        f"- {row.id}: is {row.label_new}, champion says {row.prediction_old}, proposed says {row.prediction_new}"
        for row in changed.head(MOST_FLIPPED).itertuples()
    ]
    head = f"Of {len(rows)} test rows {(now & ~was).sum()} become right and {(was & ~now).sum()} become wrong"
    return [f"{head} against champion {champion.version}.", *lines]
