"""Commands that trace registered versions back: lineage, comparison, reproduction, and what storage they need."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tidemill.cli import formatting
from tidemill.cli.errors import one_line
from tidemill.core.errors import TidemillError

if TYPE_CHECKING:
    from tidemill.registry.history import Version

DIFFERENT = 3
"""Exit code of a reproduction with other weights; 1 is for one that failed."""

ADDRESS_HELP = "models:/NAME/NUMBER or models:/NAME@ALIAS."
Address = Annotated[str, typer.Argument(metavar="VERSION", help=ADDRESS_HELP)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def lineage(
    version: Annotated[str | None, typer.Argument(metavar="[VERSION]", help=ADDRESS_HELP)] = None,
    from_data: Annotated[
        str | None, typer.Option(metavar="HASH", help="List the versions made from data of this hash.")
    ] = None,
    from_commit: Annotated[
        str | None, typer.Option(metavar="COMMIT", help="List the versions made at this commit.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a version was made from, or which versions were made from some data or at some commit."""
    from rich.console import Console

    from tidemill.provenance.tree import tree
    from tidemill.registry import history

    with one_line():
        if [version, from_data, from_commit].count(None) != 2:
            raise TidemillError("give one of: a version, --from-data HASH, --from-commit COMMIT")
        if version is None:
            found = history.from_data(from_data) if from_data else history.from_commit(str(from_commit))
            _list(found, as_json)
        elif as_json:
            print(json.dumps(history.find(version).lineage, indent=2, ensure_ascii=False))
        else:
            Console().print(tree(history.find(version)))


def compare(
    before: Annotated[str, typer.Argument(metavar="A", help=ADDRESS_HELP)],
    after: Annotated[str, typer.Argument(metavar="B", help=ADDRESS_HELP)],
    as_json: AsJson = False,
) -> None:
    """Show what differs between two versions: rows, params, code, environment, metrics, examples predicted otherwise."""
    from tidemill.provenance.comparison import compare
    from tidemill.registry import history

    with one_line():
        found = compare(history.find(before), history.find(after))
    print(json.dumps(found, indent=2, ensure_ascii=False) if as_json else "\n".join(formatting.comparison(found)))


def reproduce(
    version: Address,
    any_environment: Annotated[
        bool, typer.Option("--any-environment", help="Continue though this environment differs from the version's.")
    ] = False,
    folder: Annotated[Path | None, typer.Option(help="Work in this new folder and keep it for inspection.")] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Run the version's code unasked, though it is not this branch's own.")
    ] = False,
    sandbox: Annotated[
        str, typer.Option(help="Where its code runs: bwrap (no network, one folder to write to), none, or auto.")
    ] = "auto",
    as_json: AsJson = False,
) -> None:
    """Train a version again from scratch and compare the weights: 0 reproduced, 3 different, 1 failed."""
    from tidemill.provenance.reproduce import reproduce
    from tidemill.provenance.sandbox import Wanted
    from tidemill.registry import history

    with one_line():
        if sandbox not in list(Wanted):
            raise TidemillError(f"--sandbox {sandbox}: it is one of {', '.join(Wanted)}")
        confirm, wanted = _agreed if trust else _ask, Wanted(sandbox)
        found = reproduce(history.find(version), any_environment, folder, _progress, confirm, wanted)
    print(json.dumps(found.document(), indent=2) if as_json else "\n".join(formatting.verdict(found)))
    sys.exit(0 if found.reproduced else DIFFERENT)


def verify(version: Address) -> None:
    """Check all that was signed and decided of a version, without a network; exit code 1 if something is wrong."""
    from tidemill.registry import champion, verification

    with one_line():
        entry = champion.resolve(version)
        found = list(verification.verify(entry))
    address = f"models:/{entry.name}/{entry.version}"
    for one in found:
        print(f"{address}: {'' if one.passed else 'WRONG: '}{one.check}: {one.sentence}")
    sys.exit(not all(one.passed for one in found))


def gc(
    cloud: Annotated[bool, typer.Option("--cloud", help="In DVC's default remote as well.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove what DVC stores unused, but nothing that a registered version needs."""
    from tidemill.provenance import retention
    from tidemill.registry import history
    from tidemill.tracking.store import shown_uri

    with one_line():
        found = history.every()
        if not found:
            raise TidemillError(
                f"no version is registered in {shown_uri()}: name another registry by MLFLOW_TRACKING_URI, or use `dvc gc`"
            )
        outs = [out for version in found for out in retention.needed(version)]
        named = ", ".join(version.address for version in found)
        print(f"kept: the workspace, tips of branches and tags, experiments, and {len(found)} versions: {named}")
        print(*retention.collect(outs, Path(), cloud, dry=True), sep="\n")
        if yes or typer.confirm("remove it?", default=False):
            print(*retention.collect(outs, Path(), cloud, dry=False), sep="\n")


def _list(found: "list[Version]", as_json: bool) -> None:
    from tidemill.tracking import tags

    if as_json:
        print(
            json.dumps([{"version": one.address, "aliases": one.aliases, "tags": one.tags} for one in found], indent=2)
        )
    for one in [] if as_json else found:
        print(" ".join([one.address, one.tags.get(tags.COMMIT, "")[:12], *one.aliases]))
    if not found:
        print("no version", file=sys.stderr)


def _agreed(_: Sequence[str]) -> bool:
    return True


def _ask(reasons: Sequence[str]) -> bool:
    """Ask whether to run code; where nobody can answer, it is not run."""
    return sys.stdin.isatty() and typer.confirm(f"{'; '.join(reasons)}: run it?", default=False, err=True)


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
