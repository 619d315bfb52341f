"""Baselines: the commonest set of labels, and a linear model for each label."""

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tidemill.core.spec import Spec
from tidemill.tasks.common import baselines as common
from tidemill.tasks.multilabel_classification.encoding import label_matrix
from tidemill.tasks.multilabel_classification.prediction import label_sets


def baselines(train: pd.DataFrame, test: pd.DataFrame, spec: Spec) -> dict[str, pd.DataFrame]:
    """Return the predictions of `majority` and `linear`."""
    return {"majority": majority(train, test, spec["labels"]), "linear": linear(train, test, spec["labels"])}


def majority(train: pd.DataFrame, test: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    """Predict the commonest set of labels of the training rows, with each label's share as its probability."""
    actual = label_matrix(train["labels"], labels)
    sets, counts = np.unique(actual, axis=0, return_counts=True)
    chosen = np.tile(sets[counts.argmax()], (len(test), 1))
    return _predictions(test, np.tile(actual.mean(axis=0), (len(test), 1)), labels, chosen)


def linear(train: pd.DataFrame, test: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    """Predict by a logistic regression for each label, on the TF-IDF of one to three consecutive tokens."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    features, test_features = common.tfidf(train["text"], test["text"])
    actual = label_matrix(train["labels"], labels)
    chances = np.tile(actual.mean(axis=0), (len(test), 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for place in np.flatnonzero(actual.any(axis=0) & ~actual.all(axis=0)):
            model = LogisticRegression(C=10, max_iter=200).fit(features, actual[:, place])
            chances[:, place] = model.predict_proba(test_features)[:, 1]
    return _predictions(test, chances, labels)


def _predictions(
    test: pd.DataFrame,
    chances: NDArray[np.float64],
    labels: Sequence[str],
    chosen: NDArray[np.bool_] | None = None,
) -> pd.DataFrame:
    predictions = pd.DataFrame(label_sets(chances, labels, chosen), index=test.index)
    return test[["id", "labels"]].join(predictions)
