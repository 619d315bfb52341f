"""Whether a version may become champion: everything that was promised of it is checked again, in its own files."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tidemill.core.errors import TidemillError
from tidemill.registry import checks, content, lineage, statement
from tidemill.registry.champion import NO_CHAMPION
from tidemill.registry.content import Content
from tidemill.registry.identity import Identity
from tidemill.registry.package import check_formats
from tidemill.registry.statement import Statement
from tidemill.registry.versions import LINEAGE
from tidemill.tracking import tags

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion


def admit(version: "ModelVersion", champion: str | None, approver: Identity) -> dict[str, str]:
    """Check a version that is to take the place of a champion.

    Returns:
        sha256 of its weights, evaluation, lineage and whole content as they are stored.

    Raises:
        TidemillError: it may not; every reason is named, in one line.
    """
    with TemporaryDirectory() as scratch:
        folder = content.fetched(version, Path(scratch))
        reviewed = Content(folder, None).hashes()
        try:
            obstacles = _by_statement(version, content.verified(version, folder), champion, approver)
        except TidemillError as error:
            obstacles = [str(error)]
        obstacles += _by_files(folder, reviewed, version.tags)
    if obstacles:
        raise TidemillError(f"{version.name} {version.version} cannot become champion: {'; '.join(obstacles)}")
    return reviewed


def _by_statement(
    version: "ModelVersion", stated: Statement | None, champion: str | None, approver: Identity
) -> list[str]:
    """Look for obstacles in what was signed of a version; its tags can be rewritten."""
    if stated is None:
        again = content.register_again(str(version.name))
        return [
            f"it was registered before whole versions were signed ({content.MODEL_ONLY}): `{again}` makes a new one"
        ]
    obstacles = []
    if not stated.passed:
        obstacles.append(f"it did not pass its gates ({stated.reason})")
    if stated.compared != (champion or NO_CHAMPION):
        obstacles.append(
            f"it was compared with champion {stated.compared}, and now the champion is {champion or NO_CHAMPION}: "
            f"compare again with `{content.register_again(str(version.name))}`"
        )
    return [*obstacles, *statement.rewritten(version, stated), *_by_proposer(version.tags, stated, approver)]


def _by_proposer(found: Mapping[str, str], stated: Statement, approver: Identity) -> list[str]:
    """Refuse the one who proposed it, by the signed statement or, as a guarded server holds it, by the tag."""
    if stated.proposer is None:
        return ["it does not record who proposed it: set git's user.name and user.email and register it again"]
    if any(map(approver.is_same_person, (stated.proposer, found.get(tags.PROPOSER, stated.proposer)))):
        return [f"{approver.who} proposed it: another person has to approve"]
    return []


def _by_files(folder: Path, reviewed: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    tagged = {"weights": tags.WEIGHTS, "evaluation": tags.EVALUATION}
    obstacles = [
        f"its {part} is not what was registered" for part, tag in tagged.items() if reviewed[part] != found.get(tag)
    ]
    try:
        origin = lineage.read(folder / LINEAGE)
        needed = (checks.clean_tree(origin), checks.lineage_complete(origin))
        obstacles += [check.sentence for check in needed if not check.passed]
        check_formats(folder / "model")
    except TidemillError as error:
        obstacles.append(str(error))
    return obstacles
