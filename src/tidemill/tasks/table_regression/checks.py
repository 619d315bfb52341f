"""Checks: columns that hold something, and targets that are numbers."""

from typing import TYPE_CHECKING

from tidemill.validation.expectations import column_expectations, number_expectations, table_expectations
from tidemill.validation.params import Expectation, Validate

if TYPE_CHECKING:
    import pandas as pd


def expectations(params: Validate, tables: "dict[str, pd.DataFrame]") -> list[Expectation]:
    """Expect columns that are not missing throughout, and targets that are numbers and not all the same."""
    return table_expectations(["target"], params) + column_expectations(tables, "target") + number_expectations()
