"""Params of `evaluate.probes`: changes of test rows that only the data at hand suggests, and what they must do."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tidemill.core.params import Fraction, Params

Kind = Literal["invariance", "direction", "minimum function"]
"""A change that must not matter, one that must, and input at the edge of what a model can be given (Ribeiro et al.,
2020)."""


class ProbeParams(Params):
    """What a change must do; without `raises`, `lowers` and `changes` the prediction must stay the same."""

    name: str = Field(min_length=1)
    """For the report, and as `probe.a_negation` for gates."""
    raises: str | None = None
    """What must rise in the prediction: of a classifier, the label whose probability must."""
    lowers: str | None = None
    """What must fall in it."""
    changes: bool = False
    """Whether the prediction must become another one."""

    @property
    def kind(self) -> Kind:
        """A change that must not matter, or one that must."""
        return "direction" if self.raises or self.lowers or self.changes else "invariance"

    @model_validator(mode="after")
    def _has_one_expectation(self) -> "ProbeParams":
        if sum((self.raises is not None, self.lowers is not None, self.changes)) > 1:
            raise ValueError("at most one of raises, lowers and changes can be given")
        return self


class TextProbeParams(ProbeParams):
    """Words replaced by others, or added before or after a text."""

    column: str | None = None
    """The one column to change, where rows have several; null changes them all."""
    replace: dict[str, str] = Field(default={})
    """Words and their replacements, all at once, so that two can be swapped. Rows with none of the words are left out."""
    prepend: str = ""
    """Text put before."""
    append: str = ""
    """Text put after."""

    @model_validator(mode="after")
    def _has_an_edit(self) -> "TextProbeParams":
        if not (self.replace or self.prepend or self.append):
            raise ValueError("one of replace, prepend and append is needed")
        return self


class TableProbeParams(ProbeParams):
    """One column of a table set to a value, or its numbers multiplied and moved."""

    column: str
    """The column to change."""
    value: str | float | None = None
    """What each row gets; null changes its own number."""
    factor: float = 1.0
    """What a number is multiplied by."""
    shift: float = 0.0
    """What is then added to it."""

    @model_validator(mode="after")
    def _has_an_edit(self) -> "TableProbeParams":
        if self.value is None and (self.factor, self.shift) == (1.0, 0.0):
            raise ValueError("one of value, factor and shift is needed")
        return self


class PictureProbeParams(ProbeParams):
    """A picture shifted, brightened, rotated, mirrored or covered in part."""

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
