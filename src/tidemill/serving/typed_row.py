"""One row to predict, from what a person types."""

import json
from pathlib import Path

import pandas as pd

from tidemill.core.errors import TidemillError
from tidemill.inference.predictor import Predictor

PICTURE = "image"
"""The input that is typed as the path of a file."""


def row(predictor: Predictor, values: list[str]) -> pd.DataFrame:
    """Return a frame of one row, whose columns are the task's inputs in their order; of a table, or one JSON object by name.

    Raises:
        TidemillError: it is no JSON, there are more or fewer values than inputs, or a picture's file is not there.
    """
    inputs = predictor.inputs
    if "columns" in predictor.spec and len(values) == 1 and values[0].lstrip().startswith("{"):
        return _of_json(values[0])
    if len(values) != len(inputs):
        raise TidemillError(f"it takes {len(inputs)} values, {' and '.join(inputs)}; there are {len(values)}")
    typed = dict(zip(inputs, values, strict=True))
    return pd.DataFrame({name: [_picture(Path(value)) if name == PICTURE else value] for name, value in typed.items()})


def _of_json(text: str) -> pd.DataFrame:
    try:
        return pd.DataFrame([json.loads(text)], dtype=object)
    except ValueError as error:
        raise TidemillError(f"the row is no JSON object: {error}") from error


def _picture(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TidemillError(f"{path} is not a readable picture: {error.strerror}") from error
