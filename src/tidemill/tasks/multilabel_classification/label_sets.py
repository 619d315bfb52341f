"""Sets of labels: cleaned, as one text, as a row of a matrix, and as an answer."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tidemill.errors import TidemillError
from tidemill.tasks import _labels

BETWEEN = "; "
"""What stands between the labels of a row where they are one text."""
LIKELY = 0.5
"""The probability from which a label is given."""


def cleaned(value: Any) -> list[str]:
    """The labels of a row, each once, in order; none where there is nothing. A text or number is one label."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return []
    given = value if isinstance(value, list | tuple | set | np.ndarray) else [value]
    texts = {str(label).strip() for label in given if label is not None}
    return _labels.in_order(texts - {""})


def written(labels: Sequence[str]) -> str:
    """The labels as one text, empty for none."""
    return BETWEEN.join(labels)


def known(rows: Iterable[Sequence[str]]) -> list[str]:
    """All labels of some rows, in order."""
    return _labels.in_order({label for labels in rows for label in labels})


def encoded(rows: "pd.Series[Any]", labels: Sequence[str]) -> NDArray[np.bool_]:
    """Whether each row (down) has each label (across).

    Raises:
        TidemillError: a label does not occur in the training rows.
    """
    places = {label: place for place, label in enumerate(labels)}
    matrix = np.zeros((len(rows), len(labels)), np.bool_)
    for row, given in zip(matrix, rows, strict=True):
        unknown = [label for label in given if label not in places]
        if unknown:
            raise TidemillError(f"label {unknown[0]!r} is not among those of training: {', '.join(labels)}")
        row[[places[label] for label in given]] = True
    return matrix


def answers(
    chances: NDArray[np.float64], labels: Sequence[str], chosen: NDArray[np.bool_] | None = None
) -> dict[str, Any]:
    """The labels of each row as list and as text, the probability that they are all right, and that of each label.

    Args:
        chances: The probability of each label (across) in each row (down).
        chosen: The labels that are given; without it, those that are likely.
    """
    chosen = chances >= LIKELY if chosen is None else chosen
    predicted = [[labels[int(place)] for place in np.flatnonzero(row)] for row in chosen]
    return {
        "prediction": [written(row) for row in predicted],
        "confidence": np.where(chosen, chances, 1 - chances).prod(axis=1),
        "probabilities": list(chances),
        "predicted": predicted,
    }
