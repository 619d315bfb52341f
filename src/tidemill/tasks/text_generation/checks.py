"""Checks: texts that are not empty."""

from typing import TYPE_CHECKING

from tidemill.validation.expectations import table_expectations, text_expectations
from tidemill.validation.params import Expectation, Validate

if TYPE_CHECKING:
    import pandas as pd


def expectations(params: Validate, tables: "dict[str, pd.DataFrame]") -> list[Expectation]:
    """Expect text that is not empty."""
    return table_expectations(["text"], params) + text_expectations()
