"""Params of the evaluate stage."""

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from tidemill.core.intervals import Bootstrap
from tidemill.core.params import Params, checked, read_block


class Membership(Params):
    """How it is measured what the model tells of its training rows."""

    rows: Annotated[int, Field(ge=2)] = 1000
    """Training rows that are predicted for it, at most; all test rows are compared with them."""


class Recitation(Params):
    """How it is measured what a generator recites of its training texts."""

    texts: Annotated[int, Field(ge=2)] = 50
    """Training texts from whose openings the model goes on, at most."""
    tokens: Annotated[int, Field(ge=50, le=100_000)] = 200
    """Tokens generated for each."""
    least: Annotated[int, Field(ge=5)] = 50
    """Tokens of a run that counts as verbatim."""

    @model_validator(mode="after")
    def _has_room(self) -> Self:
        if self.least > self.tokens:
            raise ValueError(f"no text of {self.tokens} tokens has a run of {self.least}: raise tokens")
        return self


class Evaluate(Bootstrap):
    """How the model is measured."""

    membership: Membership | None = Membership()
    """How well an attack tells training rows from test rows; null does not measure it."""
    recitation: Recitation | None = None
    """How much of what it generates stands in its training texts, for text generation; null does not measure it."""

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
