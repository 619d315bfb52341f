"""Rows → predictions, one for each row or the reason why there is none: for batches and for requests alike."""

from typing import Any

import pandas as pd

from tidemill.core import stopping
from tidemill.core.errors import TidemillError
from tidemill.inference.predictor import Predictor


def predict_each(predictor: Predictor, rows: pd.DataFrame, options: dict[str, Any] | None = None) -> pd.DataFrame:
    """Return a prediction for each row, under the index of the rows.

    Where some rows cannot be predicted, halves are tried by themselves until only these are left without.

    Args:
        rows: at least the task's input columns.
        options: those of the task, `{"temperature": 0.7}`.

    Returns:
        The columns of `Predictor.predict`, and `reason`: why a row has no prediction, otherwise None.
    """
    stopping.point()
    try:
        return predictor.predict(rows, **(options or {})).assign(reason=None)
    except TidemillError as error:
        if len(rows) == 1:
            return pd.DataFrame({"prediction": None, "confidence": None, "reason": str(error)}, index=rows.index)
    half = len(rows) // 2
    return pd.concat([predict_each(predictor, part, options) for part in (rows.iloc[:half], rows.iloc[half:])])


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows as JSON objects: a missing value, whichever of pandas' it is, becomes None."""
    names = list(map(str, table))
    columns = [[None if value is pd.NA or value != value else value for value in table[name]] for name in names]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
