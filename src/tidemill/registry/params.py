"""Params of the register stage."""

from typing import Annotated, Any, Protocol

from pydantic import ConfigDict, Field, create_model

from tidemill.core import plugins
from tidemill.core.params import Params, checked

ROOM = "registry.gates"


class GateModule(Protocol):
    """What `registry/gates/<gate>.py` defines."""

    Limit: Any
    """Type of its limit in `params.yaml`."""
    DEFAULT: Any
    """Its limit where the params name none; None: then it is not checked."""
    MEANING: str
    """What the limit says, for the reference of params."""

    def check(self, limit: Any, candidate: Any) -> list[Any]:
        """Check a `registry.candidate.Candidate`; return a `registry.checks.Check` for each comparison."""


class Gates(Params):
    """What a candidate must reach to become a challenger: a limit for each gate; one that is null is not checked."""

    model_config = ConfigDict(extra="allow")

    metric: str | None = None
    """The metric by which it must not be worse than the champion; null takes the task's main metric."""
    margin: Annotated[float, Field(ge=0)] = 0.0
    """How much worse than the champion still counts as not worse."""

    @property
    def limits(self) -> dict[str, Any]:
        """The limit of each gate by its name, its default where none is given; a gate whose limit is null is left out."""
        given = self.model_extra or {}
        defaults = {name: gate.DEFAULT for name, gate in gates().items() if name not in given}
        return {name: limit for name, limit in {**given, **defaults}.items() if limit is not None}


def gates() -> dict[str, GateModule]:
    """Return every gate by its name."""
    return {name: plugins.load(ROOM, name) for name in plugins.names(ROOM)}


def with_limits(block: Gates, where: str) -> Gates:
    """Return the block if each limit is one that its gate takes.

    Args:
        where: the dotted path of the system in `params.yaml`, for messages.

    Raises:
        TidemillError: there is no such gate, or its limit is of a wrong type.
    """
    for name, limit in block.limits.items():
        gate: GateModule = plugins.load(ROOM, plugins.check_name(ROOM, name, f"{where}.gates"))
        fields: dict[str, Any] = {name: (gate.Limit, ...)}
        checked(create_model("Gate", __base__=Params, **fields), {name: limit}, f"{where}.gates")
    return block
