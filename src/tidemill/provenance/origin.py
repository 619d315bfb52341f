"""Whose code a reproduction runs: the commit of a lineage and the stored difference to it, shown before anything runs."""

from collections.abc import Callable, Sequence
from typing import Any

from tidemill.core.errors import TidemillError
from tidemill.repository.git import git

Confirm = Callable[[Sequence[str]], bool]
"""Whether to run code, for the reasons that are given not to run it unseen."""


def shown(code: dict[str, Any], address: str) -> list[str]:
    """Return who made the commit of a version, and every line that differs from it.

    Args:
        code: `code` of its lineage, whose commit is in this repository.
    """
    [made] = git("log", "-1", "--format=%h by %an <%ae>, %as: %s", str(code["commit"])).stdout.splitlines() or [""]
    changed = (code["diff"] or "").splitlines()
    return [
        f"{address}: runs commit {made}",
        *([f"{address}: and this difference to it:"] if changed else []),
        *changed,
    ]


def reasons(code: dict[str, Any], is_signed: bool) -> list[str]:
    """Return why the code of a version may not be what this repository's own history would run."""
    found = []
    if not is_signed:
        found.append("its lineage is not signed: only the model is")
    if git("merge-base", "--is-ancestor", str(code["commit"]), "HEAD").returncode:
        found.append("its commit is not in the history of this branch")
    if code["diff"]:
        found.append("files differ from its commit")
    return found


def agree(code: dict[str, Any], is_signed: bool, address: str, confirm: Confirm, log: Callable[[str], None]) -> None:
    """Show what will run, and go on only if it is this branch's own code or somebody agrees.

    Raises:
        TidemillError: nobody agrees.
    """
    for line in shown(code, address):
        log(line)
    found = reasons(code, is_signed)
    if found and not confirm(found):
        raise TidemillError(
            f"{address} was not reproduced: {'; '.join(found)}: read what is shown above, and add --trust to run it"
        )
