"""Params of the validate stage."""

from typing import Annotated, Any

from pydantic import Field

from tidemill.core.params import Fraction, Params


class Expectation(Params):
    """One more Great Expectations expectation, e.g. `{type: expect_column_values_to_match_regex, …}`."""

    type: str
    """Its name in the Great Expectations library."""
    kwargs: dict[str, Any] = Field(default={})
    """Its arguments: the column and the limits."""


class Validate(Params):
    """What must hold for the ingested tables, in addition to what the task expects."""

    minimum_rows: Annotated[int, Field(ge=1)] = 10
    """Fewest rows that a split may have."""
    minimum_share: Fraction = 0.01
    """Smallest share of the rows that a label may have."""
    expectations: list[Expectation] = Field(default=[])
    """Further expectations, checked for each split."""
