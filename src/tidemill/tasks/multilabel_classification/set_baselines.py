"""What a model of sets of labels must beat: the commonest set, and a linear model for each label."""

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tidemill.tasks import _baselines
from tidemill.tasks.multilabel_classification import label_sets


def majority(train: pd.DataFrame, test: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    """The commonest set of labels of the training rows, and each label's share as its probability."""
    actual = label_sets.encoded(train["labels"], labels)
    sets, counts = np.unique(actual, axis=0, return_counts=True)
    chosen = np.tile(sets[counts.argmax()], (len(test), 1))
    return _predictions(test, np.tile(actual.mean(axis=0), (len(test), 1)), labels, chosen)


def linear(train: pd.DataFrame, test: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    """A logistic regression a label, on the TF-IDF of one to three tokens in a row."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    seen, unseen = _baselines.tfidf(train["text"], test["text"])
    actual = label_sets.encoded(train["labels"], labels)
    chances = np.tile(actual.mean(axis=0), (len(test), 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for place in np.flatnonzero(actual.any(axis=0) & ~actual.all(axis=0)):
            model = LogisticRegression(C=10, max_iter=200).fit(seen, actual[:, place])
            chances[:, place] = model.predict_proba(unseen)[:, 1]
    return _predictions(test, chances, labels)


def _predictions(
    test: pd.DataFrame,
    chances: NDArray[np.float64],
    labels: Sequence[str],
    chosen: NDArray[np.bool_] | None = None,
) -> pd.DataFrame:
    told = pd.DataFrame(label_sets.answers(chances, labels, chosen), index=test.index)
    return test[["id", "labels"]].join(told)
