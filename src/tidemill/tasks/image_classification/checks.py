"""Checks: pictures of one shape and a sane range, and labels that are known and not too rare."""

from typing import TYPE_CHECKING

from tidemill.validation.expectations import label_expectations, picture_expectations, table_expectations
from tidemill.validation.params import Expectation, Validate

if TYPE_CHECKING:
    import pandas as pd


def expectations(params: Validate, tables: "dict[str, pd.DataFrame]") -> list[Expectation]:
    """Expect pictures like those of training, and labels that training knows and that are not too rare."""
    return table_expectations(["image"], params) + picture_expectations(tables) + label_expectations(params, tables)
