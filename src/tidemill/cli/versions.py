"""Commands that look back from registered versions."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tidemill.cli._errors import one_line

if TYPE_CHECKING:
    from tidemill.provenance.verdict import Verdict

DIFFERENT = 3
"""Exit code of a reproduction that came out otherwise; 1 is for one that could not be made."""

Address = Annotated[str, typer.Argument(metavar="VERSION", help="models:/NAME/NUMBER or models:/NAME@ALIAS.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def reproduce(
    version: Address,
    any_environment: Annotated[
        bool, typer.Option("--any-environment", help="Go on though this environment differs from the version's.")
    ] = False,
    folder: Annotated[Path | None, typer.Option(help="Work in this new folder and leave it, to look at.")] = None,
    as_json: AsJson = False,
) -> None:
    """Train a version again from nothing and compare the weights: 0 reproduced, 3 different, 1 cannot be made."""
    from tidemill.provenance.reproduce import reproduce
    from tidemill.registry import versions

    with one_line():
        found = reproduce(versions.find(version), any_environment, folder, lambda line: print(line, file=sys.stderr))
    print(json.dumps(found.document(), indent=2) if as_json else _told(found))
    sys.exit(0 if found.reproduced else DIFFERENT)


def _told(verdict: "Verdict") -> str:
    sentences = {
        "identical": f"{verdict.version} is reproduced: the weights are the same, bit for bit",
        "within tolerance": f"{verdict.version} is reproduced: the weights are within the tolerance of its tier",
        "different": f"{verdict.version} is not reproduced: the weights differ",
    }
    lines = [f"{sentences[verdict.outcome]} ({verdict.seconds:.0f} s)", f"  weights then  {verdict.weights_then}"]
    lines.append(f"  weights now   {verdict.weights_now}")
    if verdict.outcome != "identical":
        allowed = "any" if verdict.tolerance is None else f"{verdict.tolerance:g}"
        distance = "other tensors" if verdict.distance is None else f"{verdict.distance:.3g}"
        lines.append(f"  distance      {distance} (tier {verdict.determinism}: {allowed})")
    for kind in ("environment", "data", "code", "arithmetic"):
        lines += [f"  {kind:<13} {line}" for line in getattr(verdict, kind)]
    return "\n".join(lines + [f"  note          {line}" for line in verdict.notes])
