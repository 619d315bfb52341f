"""Commands of review: look at what is proposed, decide, and verify what was decided."""

import sys
from typing import Annotated

import typer

from tidemill.cli._errors import one_line

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
        for decision in ("approve", "reject"):
            print(f"tidemill review {decision} {system} {version} --why '…'")


@app.command()
def approve(system: System, version: Version, why: Why) -> None:
    """Make a version champion."""
    from tidemill.registry import identity, promotion, tracking

    with one_line():
        print(promotion.approve(tracking.connect(), system, version, identity.identity(), why))


@app.command()
def reject(system: System, version: Version, why: Why) -> None:
    """Turn a version down."""
    from tidemill.registry import identity, promotion, tracking

    with one_line():
        print(promotion.reject(tracking.connect(), system, version, identity.identity(), why))


@app.command()
def sync(system: Annotated[str | None, typer.Argument(help="The system; all if none is named.")] = None) -> None:
    """Carry out what was decided by tags of a version; exit code 1 if the rules refuse one."""
    from tidemill.errors import TidemillError
    from tidemill.registry import decision_tags, tracking

    with one_line():
        outcomes = list(decision_tags.carry_out(tracking.connect(), system))
    lines = [str(outcome) for outcome in outcomes]
    print("\n".join(lines or ["no version has a tag tidemill.decision"]))
    sys.exit(any(isinstance(outcome, TidemillError) for outcome in outcomes))


def rollback(system: System, why: Why) -> None:
    """Put the champion before the present one back into service."""
    from tidemill.registry import identity, promotion, tracking

    with one_line():
        print(promotion.rollback(tracking.connect(), system, identity.identity(), why))


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
                print(entry)
            for line in wrong:
                print(f"{name}: WRONG: {line}")
            if not wrong:
                print(f"{name}: {len(entries)} entries, unbroken, in both places; the alias stands where they put it")
            faulty = faulty or bool(wrong)
    sys.exit(faulty)
