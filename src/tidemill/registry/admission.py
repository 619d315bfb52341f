"""Whether a version may become champion: everything that was promised of it is checked again, in its own files."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tidemill.core.errors import TidemillError
from tidemill.core.files import read_json, sha256_file
from tidemill.models.common.networks import WEIGHTS
from tidemill.registry import checks, signing
from tidemill.registry.champion import NO_CHAMPION
from tidemill.registry.identity import Identity
from tidemill.registry.package import check_formats
from tidemill.registry.versions import EVALUATION, LINEAGE, MODEL
from tidemill.tracking import tags

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion


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
    """Hash what a person reviews of a version."""
    return {
        "weights": sha256_file(folder / MODEL / WEIGHTS),
        "evaluation": sha256_file(folder / EVALUATION),
        "lineage": sha256_file(folder / LINEAGE),
    }


def _by_tags(found: dict[str, str], champion: str | None) -> list[str]:
    obstacles = []
    if found.get(tags.PASSED) != "true":
        obstacles.append(f"it did not pass its gates ({found.get(tags.REASON, 'they were not checked')})")
    compared = found.get(tags.COMPARED, "an unknown one")
    if compared != (champion or NO_CHAMPION):
        obstacles.append(
            f"it was compared with champion {compared}, and now the champion is {champion or NO_CHAMPION}: "
            "compare again with `dvc repro --single-item --force register@…`"
        )
    return obstacles


def _by_proposer(found: dict[str, str], approver: Identity) -> list[str]:
    proposed = found.get(tags.PROPOSER)
    if proposed is None:
        return ["it does not record who proposed it: set git's user.name and user.email and register it again"]
    if approver.is_same_person(proposed):
        return [f"{approver.who} proposed it: another person has to approve"]
    return []


def _by_files(folder: Path, reviewed: dict[str, str], found: dict[str, str]) -> list[str]:
    tagged = {"weights": tags.WEIGHTS, "evaluation": tags.EVALUATION}
    obstacles = [
        f"its {part} is not what was registered" for part, tag in tagged.items() if reviewed[part] != found.get(tag)
    ]
    lineage = read_json(folder / LINEAGE)
    needed = (checks.clean_tree(lineage), checks.lineage_complete(lineage))
    obstacles += [check.sentence for check in needed if not check.passed]
    try:
        check_formats(folder / "model")
    except TidemillError as error:
        obstacles.append(str(error))
    return obstacles
