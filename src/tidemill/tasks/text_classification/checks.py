"""Checks: texts that are not empty, and labels that are known and not too rare."""

from typing import TYPE_CHECKING

from tidemill.validation.expectations import label_expectations, table_expectations, text_expectations
from tidemill.validation.params import Expectation, Validate

if TYPE_CHECKING:
    import pandas as pd


def expectations(params: Validate, tables: "dict[str, pd.DataFrame]") -> list[Expectation]:
    """Expect text that is not empty, and labels that training knows and that are not too rare."""
    return table_expectations(["text"], params) + text_expectations() + label_expectations(params, tables)
