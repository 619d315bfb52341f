"""Rows: a text and a set of labels, as a list in `labels` and as one text in `label`."""

from typing import Any

import numpy as np
import pandas as pd

from tidemill.core.errors import TidemillError
from tidemill.core.labels import in_order, joined
from tidemill.tasks.common import rows as common

INPUTS = ("text",)
TARGETS = ("labels",)

normalise = common.normalise_text
content = common.text_content
group = common.text_content
near_copies = common.near_texts


def clean(rows: pd.DataFrame) -> pd.DataFrame:
    """Normalise text and labels; rows without text get a reason.

    Raises:
        TidemillError: there is no column `labels`.
    """
    if "labels" not in rows:
        raise TidemillError("no column 'labels', which multilabel_classification needs: name theirs in source.columns")
    labels = rows["labels"].map(clean_labels)
    return common.reject_empty(normalise(rows).assign(labels=labels, label=labels.map(joined)))


def clean_labels(value: Any) -> list[str]:
    """Return the labels of a row, each once, in order; none where the value is missing. A text or number is one label."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return []
    given = value if isinstance(value, list | tuple | set | np.ndarray) else [value]
    return in_order({str(label).strip() for label in given if label is not None} - {""})
