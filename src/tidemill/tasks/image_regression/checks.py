"""Checks: pictures of one shape and a sane range, and targets that are numbers."""

from typing import TYPE_CHECKING

from tidemill.validation.expectations import number_expectations, picture_expectations, table_expectations
from tidemill.validation.params import Expectation, Validate

if TYPE_CHECKING:
    import pandas as pd


def expectations(params: Validate, tables: "dict[str, pd.DataFrame]") -> list[Expectation]:
    """Expect pictures like those of training, and targets that are numbers and not all the same."""
    return table_expectations(["image", "target"], params) + picture_expectations(tables) + number_expectations()
