"""Whether a version may become champion: everything that was promised of it is looked at again, in its own files."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tidemill.errors import TidemillError
from tidemill.files import read_json, sha256_file
from tidemill.models import WEIGHTS
from tidemill.registry import gates, signing
from tidemill.registry.champion import COMPARED_TAG, NO_CHAMPION
from tidemill.registry.identity import Identity
from tidemill.registry.package import check_formats
from tidemill.registry.tracking import MODEL, WEIGHTS_TAG

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

EVALUATION_TAG = "tidemill.evaluation_sha256"
PASSED_TAG = "tidemill.passed"
REASON_TAG = "tidemill.reason"
PROPOSER_TAG = "tidemill.proposed_by"


def admit(version: "ModelVersion", champion: str | None, approver: Identity) -> dict[str, str]:
    """Check a version that is to take the place of a champion.

    Returns:
        sha256 of its weights, evaluation and lineage as they are stored.

    Raises:
        TidemillError: it may not; every reason is named, in one line.
    """
    obstacles = [*_by_tags(version.tags, champion), *_by_proposer(version.tags, approver)]
    with TemporaryDirectory() as scratch:
        folder = signing.download(version, Path(scratch))
        reviewed = hashes(folder)
        obstacles += _by_files(folder, reviewed, version.tags)
    if obstacles:
        raise TidemillError(f"{version.name} {version.version} cannot become champion: {'; '.join(obstacles)}")
    return reviewed


def hashes(folder: Path) -> dict[str, str]:
    """What a person who looks at a version looks at."""
    return {
        "weights": sha256_file(folder / MODEL / WEIGHTS),
        "evaluation": sha256_file(folder / "evaluation.json"),
        "lineage": sha256_file(folder / "lineage.json"),
    }


def _by_tags(tags: dict[str, Any], champion: str | None) -> list[str]:
    found = []
    if tags.get(PASSED_TAG) != "true":
        found.append(f"it did not pass its gates ({tags.get(REASON_TAG, 'they were not asked')})")
    compared = tags.get(COMPARED_TAG, "an unknown one")
    if compared != (champion or NO_CHAMPION):
        found.append(
            f"it was compared with champion {compared}, and now the champion is {champion or NO_CHAMPION}: "
            "compare again with `dvc repro --single-item --force register@…`"
        )
    return found


def _by_proposer(tags: dict[str, Any], approver: Identity) -> list[str]:
    proposed = tags.get(PROPOSER_TAG)
    if proposed is None:
        return ["it does not say who proposed it: set git's user.name and user.email and register it again"]
    if approver.is_same_person(proposed):
        return [f"{approver.who} proposed it: another person has to approve"]
    return []


def _by_files(folder: Path, reviewed: dict[str, str], tags: dict[str, Any]) -> list[str]:
    tagged = {"weights": WEIGHTS_TAG, "evaluation": EVALUATION_TAG}
    found = [
        f"its {part} is not what was registered" for part, tag in tagged.items() if reviewed[part] != tags.get(tag)
    ]
    lineage = read_json(folder / "lineage.json")
    answers = (gates.clean_tree(lineage), gates.lineage_complete(lineage))
    found += [answer.sentence for answer in answers if not answer.passed]
    try:
        check_formats(folder / "model")
    except TidemillError as error:
        found.append(str(error))
    return found
