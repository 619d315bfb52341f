"""An empty project: what a team begins with that has no use for the shipped systems."""

from pathlib import Path

from tidemill.core.errors import TidemillError
from tidemill.core.files import finished_file
from tidemill.core.params import PARAMS_FILE
from tidemill.onboarding.params_text import emptied
from tidemill.project.params import load_project
from tidemill.repository.git import git

RECORDS = (Path("dvc.lock"), Path("folds/dvc.lock"), Path("data.dvc"))
"""What DVC keeps of the systems and of the raw data."""


def clear() -> list[str]:
    """Take all systems and sources out of params.yaml, and remove what DVC records of them; return what was changed.

    Raises:
        TidemillError: git does not have all that would be lost, or a system is cross-validated.
    """
    crossed = load_project().cross_validation.systems
    if crossed:
        raise TidemillError(
            f"{PARAMS_FILE}: cross_validation.systems names {crossed[0]}: write `systems: []` there first"
        )
    there = [path for path in RECORDS if path.exists()]
    _check_kept_by_git([PARAMS_FILE, *there])
    text = PARAMS_FILE.read_bytes().decode("utf-8")
    with finished_file(PARAMS_FILE) as partial:
        partial.write_bytes(emptied(text).encode("utf-8"))
    for path in there:
        path.unlink()
    return [f"{PARAMS_FILE}: no system and no source", *(f"{path}: removed" for path in there)]


def _check_kept_by_git(paths: list[Path]) -> None:
    for path in paths:
        known = git("ls-files", "--error-unmatch", str(path)).returncode == 0
        if not known or git("status", "--porcelain", str(path)).stdout:
            raise TidemillError(f"{path} would be lost, as git does not have it as it is: commit it first")
