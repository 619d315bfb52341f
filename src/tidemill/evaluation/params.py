"""Params of the evaluate stage."""

from typing import Annotated, Any

from pydantic import Field

from tidemill.core.intervals import Bootstrap
from tidemill.core.params import Params, checked, read_block


class Membership(Params):
    """How it is measured what the model tells of its training rows."""

    rows: Annotated[int, Field(ge=2)] = 1000
    """Training rows that are predicted for it, at most; all test rows are compared with them."""


class Evaluate(Bootstrap):
    """How the model is measured."""

    membership: Membership | None = Membership()
    """How well an attack tells training rows from test rows; null does not measure it."""

    probes: list[Any] = Field(default=[])
    """Probes that only this data knows, beside those of the task: the `Params` of the task's `probes` module."""


def read_evaluate(system: dict[str, Any], name: str, probe: type[Params]) -> Evaluate:
    """Check the evaluate block of a system that `read_system` returned.

    Args:
        probe: what the task allows as an entry of `probes`.

    Raises:
        TidemillError: the block is missing, or a param is unknown or of a wrong type.
    """
    return with_probes(read_block(system, name, "evaluate", Evaluate), probe, f"systems.{name}")


def with_probes(evaluate: Evaluate, probe: type[Params], where: str) -> Evaluate:
    """Return the block with each of its probes checked against what the task allows.

    Raises:
        TidemillError: a param of a probe is unknown or of a wrong type.
    """
    probes = [checked(probe, one, f"{where}.evaluate.probes.{number}") for number, one in enumerate(evaluate.probes)]
    return evaluate.model_copy(update={"probes": probes})
