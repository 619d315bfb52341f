"""Checks: texts that are not empty, and targets that are numbers."""

from typing import TYPE_CHECKING

from tidemill.validation.expectations import number_expectations, table_expectations, text_expectations
from tidemill.validation.params import Expectation, Validate

if TYPE_CHECKING:
    import pandas as pd


def expectations(params: Validate, tables: "dict[str, pd.DataFrame]") -> list[Expectation]:
    """Expect text that is not empty, and targets that are numbers and not all the same."""
    return table_expectations(["text", "target"], params) + text_expectations() + number_expectations()
