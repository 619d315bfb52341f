"""Commands of review: inspect what is proposed, decide, and verify what was decided."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from tidemill.cli.errors import one_line

if TYPE_CHECKING:
    from tidemill.registry.decision_entry import Entry

System = Annotated[str, typer.Argument(help="The system, as params.yaml names it.")]
Version = Annotated[str, typer.Argument(help="The version's number.")]
Why = Annotated[str, typer.Option("--why", help="The reason, for the log.", prompt="Why")]

app = typer.Typer(help="Review proposed versions and decide on them.", no_args_is_help=True)


@app.command("list")
def list_() -> None:
    """Show what waits for a decision: every challenger that is not the champion."""
    from tidemill.registry import proposals
    from tidemill.tracking.store import connect

    with one_line():
        for line in proposals.waiting(connect()):
            print(line)


@app.command()
def show(system: System, version: Version) -> None:
    """Show a version's main metric, baselines, champion and gates, the examples that flip, and how to decide."""
    from tidemill.registry import proposals
    from tidemill.tracking.store import connect

    with one_line():
        print(proposals.describe(connect(), system, version))


@app.command()
def approve(system: System, version: Version, why: Why) -> None:
    """Make a version champion."""
    from tidemill.registry import identity, promotion
    from tidemill.tracking.store import connect

    with one_line():
        _tell(promotion.approve(connect(), system, version, identity.identity(), why))


@app.command()
def reject(system: System, version: Version, why: Why) -> None:
    """Reject a version."""
    from tidemill.registry import identity, promotion
    from tidemill.tracking.store import connect

    with one_line():
        _tell(promotion.reject(connect(), system, version, identity.identity(), why))


@app.command()
def sync(system: Annotated[str | None, typer.Argument(help="The system; all if none is named.")] = None) -> None:
    """Carry out decisions set as tags of a version; exit code 1 if the rules refuse one."""
    from tidemill.core.errors import TidemillError
    from tidemill.registry import decision_tags
    from tidemill.tracking import tags
    from tidemill.tracking.store import connect

    with one_line():
        outcomes = list(decision_tags.carry_out(connect(), system))
    lines = [str(outcome) for outcome in outcomes]
    print("\n".join(lines or [f"no version has a tag {tags.DECISION}"]))
    sys.exit(any(isinstance(outcome, TidemillError) for outcome in outcomes))


def rollback(system: System, why: Why) -> None:
    """Put the champion before the present one back into service."""
    from tidemill.registry import identity, promotion
    from tidemill.tracking.store import connect

    with one_line():
        _tell(promotion.rollback(connect(), system, identity.identity(), why))


def audit(
    system: Annotated[str | None, typer.Argument(help="The system; all if none is named.")] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Complete what was begun; put the alias where the log has it.")
    ] = False,
) -> None:
    """Print the log of decisions and verify it: in the registry, in decisions/, and against the alias."""
    from tidemill.registry import audit
    from tidemill.tracking.store import connect

    with one_line():
        client = connect()
        faulty = [name for name in ([system] if system else audit.systems(client)) if not _audited(name, repair)]
    sys.exit(bool(faulty))


def _tell(entry: "Entry") -> None:
    print(entry)
    if entry.claim:
        print(f"note: {entry.claim}")


def _audited(system: str, repair: bool) -> bool:
    """Print the log of one system and what is wrong with it; whether nothing is."""
    from tidemill.core.errors import TidemillError
    from tidemill.provenance import forgetting
    from tidemill.registry import audit
    from tidemill.tracking.store import connect

    failed = []
    if repair:
        try:
            audit.repair(connect(), system)
        except TidemillError as error:
            failed = [f"it could not be repaired: {error}"]
    entries, wrong = audit.audit(connect(), system)
    for entry in entries:
        print(entry)
    for line in [*failed, *wrong]:
        print(f"{system}: WRONG: {line}")
    if not failed and not wrong:
        print(f"{system}: {len(entries)} entries, unbroken, in both places; the alias is where they put it")
    for line in [*audit.notes(connect(), system, entries), *forgetting.notes(system, entries)]:
        print(f"{system}: note: {line}")
    return not failed and not wrong
