"""What git has ever recorded of the decision files: nothing that was committed may be missing today."""

from collections.abc import Sequence
from pathlib import Path

from tidemill.registry import decision_file
from tidemill.registry.decision_entry import Entry
from tidemill.registry.lineage import DECISIONS
from tidemill.repository.git import git
from tidemill.tracking.store import project_root

UPSTREAM = "@{upstream}"


def difference(system: str, entries: Sequence[Entry]) -> str | None:
    """Return which committed version of a system's file does not begin today's log, if one does not."""
    name, today = decision_file.name(system), [entry.line for entry in entries]
    for commit in _git("log", "--format=%H", "--diff-filter=AM", *_revisions(), "--", name).splitlines():
        then = [line for line in _git("show", f"{commit}:./{name}").split("\n") if line]
        if then != today[: len(then)]:
            first = next(place for place, line in enumerate(then) if line not in today[place : place + 1])
            return (
                f"commit {commit[:12]} has decision {first + 1} in {name}, which the log lacks or has changed: "
                f"`git show {commit[:12]}:./{name}` has it"
            )
    return None


def systems() -> set[str]:
    """Return the systems that git, or the working folder, has or had a file of decisions on."""
    listed = _git("log", "--format=", "--name-only", "--relative", *_revisions(), "--", str(DECISIONS))
    here = project_root() / DECISIONS
    paths = [Path(line) for line in listed.splitlines() if line] + list(here.glob(f"*{decision_file.SUFFIX}"))
    return {path.name.removesuffix(decision_file.SUFFIX) for path in paths if path.suffix == decision_file.SUFFIX}


def _revisions() -> list[str]:
    """Return what counts: this branch, and what was last seen of the one it follows."""
    known = git("rev-parse", "--verify", "--quiet", UPSTREAM, folder=project_root())
    return ["HEAD"] if known.returncode else ["HEAD", UPSTREAM]


def _git(*arguments: str) -> str:
    """Return what git prints; nothing without git, a repository or a commit."""
    done = git(*arguments, folder=project_root())
    return "" if done.returncode else done.stdout
