"""The rows that candidates for a new system are tried on."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

VALIDATION = 2000
"""Validation rows that decide, at most."""


@dataclass(frozen=True)
class Rows:
    """Ingested rows of a source, under an index without repeats."""

    train: pd.DataFrame
    valid: pd.DataFrame
    labels: "pd.Series[Any] | None"
    """Every label of each row, under the index of the rows; None where rows have none."""

    def sample(self, count: int) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return that many training rows, every label among them, and validation rows with no label that these lack."""
        train, valid = self.train.sample(frac=1, random_state=0), self.valid.head(VALIDATION)
        if self.labels is None:
            return train.head(count), valid
        labels = self.labels[self.labels.index.isin(train.index)].dropna()
        first = labels.drop_duplicates().index.unique()
        chosen = pd.concat([train.loc[first], train.drop(first)]).head(max(count, len(first)))
        known = (self.labels.isin(labels.unique()) | self.labels.isna()).groupby(level=0).all()
        return chosen, valid[known.reindex(valid.index, fill_value=True)]
