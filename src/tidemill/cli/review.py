"""Commands of review: look at what is proposed, decide, and verify what was decided."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from tidemill.cli._errors import one_line

if TYPE_CHECKING:
    from tidemill.registry.decision_log import Entry

System = Annotated[str, typer.Argument(help="The system, as params.yaml names it.")]
Version = Annotated[str, typer.Argument(help="The version's number.")]
Why = Annotated[str, typer.Option("--why", help="The reason, for the log.", prompt="Why")]

app = typer.Typer(help="Look at proposed versions and decide on them.", no_args_is_help=True)


@app.command("list")
def list_() -> None:
    """Show what waits for a decision: every challenger that is not the champion."""
    from tidemill.registry import proposals, tracking

    with one_line():
        for line in proposals.waiting(tracking.connect()):
            print(line)


@app.command()
def show(system: System, version: Version) -> None:
    """Show a version's gates in numbers, the examples that flip, and where its report, card and lineage are."""
    from tidemill.registry import proposals, tracking

    with one_line():
        print(proposals.describe(tracking.connect(), system, version))


@app.command()
def approve(system: System, version: Version, why: Why) -> None:
    """Make a version champion."""
    from tidemill.registry import identity, promotion, tracking

    with one_line():
        _say(promotion.approve(tracking.connect(), system, version, identity.identity(), why))


@app.command()
def reject(system: System, version: Version, why: Why) -> None:
    """Turn a version down."""
    from tidemill.registry import identity, promotion, tracking

    with one_line():
        _say(promotion.reject(tracking.connect(), system, version, identity.identity(), why))


def rollback(system: System, why: Why) -> None:
    """Put the champion before the present one back into service."""
    from tidemill.registry import identity, promotion, tracking

    with one_line():
        _say(promotion.rollback(tracking.connect(), system, identity.identity(), why))


def audit(
    system: Annotated[str | None, typer.Argument(help="The system; all if none is named.")] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="End what was begun; put the alias where the log has it.")
    ] = False,
) -> None:
    """Print the log of decisions and verify it: in the registry, in decisions/, and against the alias."""
    from tidemill.registry import audit, tracking

    with one_line():
        client = tracking.connect()
        systems = [system] if system else [model.name for model in client.search_registered_models()]
        faulty = False
        for name in systems:
            if repair:
                audit.repair(client, name)
            entries, wrong = audit.audit(client, name)
            for entry in entries:
                _say(entry)
            for line in wrong:
                print(f"{name}: WRONG: {line}")
            if not wrong:
                print(f"{name}: {len(entries)} entries, unbroken, in both places; the alias stands where they put it")
            faulty = faulty or bool(wrong)
    sys.exit(faulty)


def _say(entry: "Entry") -> None:
    moved = f"champion {entry.champion_before or 'none'} -> {entry.champion_after or 'none'}"
    print(
        f"{entry.system}: {entry.number} {entry.when} {entry.action} {entry.version} {entry.state}, {moved}, "
        f"by {entry.who} ({entry.identity}): {entry.why}"
    )
