"""The rows that candidates for a new system are tried on."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

VALIDATION = 2000
"""Validation rows that decide, at most."""
FEW = 500
"""Validation rows below which all rows take turns in deciding."""
FOLDS = 5
"""Parts that take turns."""


class Split(NamedTuple):
    """Rows to train on, and others to validate on."""

    train: pd.DataFrame
    valid: pd.DataFrame


@dataclass(frozen=True)
class Rows:
    """Ingested rows of a source, under an index without repeats."""

    train: pd.DataFrame
    valid: pd.DataFrame
    labels: "pd.Series[Any] | None"
    """Every label of each row, under the index of the rows; None where rows have none."""
    groups: "pd.Series[Any]"
    """What rows share that must be on one side of a split, under the index of the rows."""

    def sample(self, count: int) -> Split:
        """Return that many training rows, every label among them, and validation rows with no label that these lack."""
        train, valid = self.train.sample(frac=1, random_state=0), self.valid.head(VALIDATION)
        if self.labels is None:
            return Split(train.head(count), valid)
        labels, first = self._with_labels(train)
        chosen = pd.concat([train.loc[first], train.drop(first)]).head(max(count, len(first)))
        known = (self.labels.isin(labels.unique()) | self.labels.isna()).groupby(level=0).all()
        return Split(chosen, valid[known.reindex(valid.index, fill_value=True)])

    def folds(self) -> Iterator[Split]:
        """Yield splits by which each row is validated once, but for one of each label, which is always trained on."""
        table = pd.concat([self.train, self.valid])
        groups, names = pd.factorize(self.groups.reindex(table.index))
        folds = np.random.default_rng(0).permutation(len(names))[groups] % FOLDS
        always = table.index.isin([] if self.labels is None else self._with_labels(table)[1])
        for fold in range(FOLDS):
            valid = (folds == fold) & ~always
            yield Split(table[~valid], table[valid])

    def _with_labels(self, table: pd.DataFrame) -> "tuple[pd.Series[Any], pd.Index[Any]]":
        """Return the labels of a table's rows, and the first row of each."""
        assert self.labels is not None
        labels = self.labels[self.labels.index.isin(table.index)].dropna()
        return labels, labels.drop_duplicates().index.unique()
