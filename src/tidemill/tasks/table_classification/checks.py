"""Checks: columns that hold something, and labels that are known and not too rare."""

from typing import TYPE_CHECKING

from tidemill.validation.expectations import column_expectations, label_expectations, table_expectations
from tidemill.validation.params import Expectation, Validate

if TYPE_CHECKING:
    import pandas as pd


def expectations(params: Validate, tables: "dict[str, pd.DataFrame]") -> list[Expectation]:
    """Expect columns that are not missing throughout, and labels that training knows and that are not too rare."""
    columns = column_expectations(tables, "label")
    return table_expectations([], params) + columns + label_expectations(params, tables)
