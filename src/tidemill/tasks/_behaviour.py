"""Params of `evaluate.behaviours`: changes of test rows that only the data at hand knows, and what must come of them."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tidemill.config import Fraction, Params

Kind = Literal["invariance", "direction", "minimum function"]
"""A change that must not matter, one that must, and input at the edge of what can be asked (Ribeiro et al., 2020)."""


class Behaviour(Params):
    """What must come of a change; where none of the three is given, nothing: the answer stays."""

    name: str = Field(min_length=1)
    """For the report, and as `behaviour.a_negation` for gates."""
    raises: str | None = None
    """What must go up in the answer: of a classifier, the label whose probability does."""
    lowers: str | None = None
    """What must go down in it."""
    changes: bool = False
    """Whether the answer must become another one."""

    @property
    def kind(self) -> Kind:
        """A change that must not matter, or one that must."""
        return "direction" if self.raises or self.lowers or self.changes else "invariance"

    @model_validator(mode="after")
    def _says_one_thing(self) -> "Behaviour":
        if sum((self.raises is not None, self.lowers is not None, self.changes)) > 1:
            raise ValueError("at most one of raises, lowers and changes can be asked for")
        return self


class TextBehaviour(Behaviour):
    """Words put in the place of others, before a text or after it."""

    column: str | None = None
    """The one column to change, where rows have several; null changes them all."""
    replace: dict[str, str] = Field(default={})
    """Words and what is put in their place, all at once, so that two can be swapped. Rows with none are left out."""
    prepend: str = ""
    append: str = ""

    @model_validator(mode="after")
    def _changes_something(self) -> "TextBehaviour":
        if not (self.replace or self.prepend or self.append):
            raise ValueError("one of replace, prepend and append is needed")
        return self


class PictureBehaviour(Behaviour):
    """A picture moved, lit, turned or mirrored."""

    shift: Annotated[float, Field(gt=-1, lt=1)] = 0.0
    """To the right and down, as a share of its sides; its edges are stretched to fill the gap."""
    brightness: Annotated[float, Field(ge=0)] = 1.0
    """Factor of all its values."""
    rotation: Annotated[float, Field(ge=-180, le=180)] = 0.0
    """Degrees, counter-clockwise."""
    mirror: bool = False
    """Left to right."""
    cover: Fraction = 0.0
    """Share of its height that is blackened, from the bottom up."""
