"""Baselines of a task: what a model must beat, a trivial one and one made in seconds."""

import warnings
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tidemill.core import plugins
from tidemill.core.spec import Spec
from tidemill.tasks.common.encoding import encode_labels
from tidemill.tokens.ngrams import WORD

LINEAR_SIDE = 32
"""Height and width, in pixels, that a linear model of pictures sees at most: more add little and cost much."""


class BaselinesPart(Protocol):
    """What `tasks/<task>/baselines.py` defines."""

    def baselines(self, train: pd.DataFrame, test: pd.DataFrame, spec: Spec) -> dict[str, pd.DataFrame]:
        """Return predictions for the test rows by the name of the baseline, with the columns that `metrics` needs."""


def of(task: str) -> BaselinesPart:
    """Return the baselines part of a task, by the task's name."""
    part: BaselinesPart = plugins.load("tasks", task, "baselines")
    return part


def majority(train: pd.DataFrame, test: pd.DataFrame, spec: Spec) -> pd.DataFrame:
    """Predict the commonest label of the training rows for every test row, with each label's share as probability."""
    shares = np.bincount(encode_labels(train, spec), minlength=len(spec["labels"])) / len(train)
    return _predictions(test, np.tile(shares, (len(test), 1)), spec)


def linear_text(train: pd.DataFrame, test: pd.DataFrame, spec: Spec) -> pd.DataFrame:
    """Predict by logistic regression on the TF-IDF of one to three consecutive tokens of column `text`."""
    features, test_features = tfidf(train["text"], test["text"])
    return _logistic(features, train, test_features, test, spec, penalty=0.1, steps=200)


def tfidf(train: "pd.Series[str]", test: "pd.Series[str]") -> tuple[Any, Any]:
    """Return sparse features (B, n-grams) of both, weighted as in the training texts."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    often_enough = 2 if len(train) >= 1000 else 1
    vectorizer = TfidfVectorizer(
        token_pattern=WORD, ngram_range=(1, 3), min_df=often_enough, sublinear_tf=True, dtype=np.float32
    )
    features = vectorizer.fit_transform(train)
    return features, vectorizer.transform(test)


def linear_pixels(
    train: pd.DataFrame,
    test: pd.DataFrame,
    spec: Spec,
    pixels: Callable[[pd.DataFrame], NDArray[np.uint8]],
) -> pd.DataFrame:
    """Predict by logistic regression on pixels.

    Args:
        pixels: takes rows, returns their pixels (B, H, W, C).
    """
    features = scaled(pixels(train))
    return _logistic(features, train, scaled(pixels(test)), test, spec, penalty=1.0, steps=30)


def linear_columns(train: pd.DataFrame, test: pd.DataFrame, spec: Spec) -> pd.DataFrame:
    """Predict by logistic regression on the columns of a table, encoded as for the model."""
    return _logistic(features_of_columns(train, spec), train, features_of_columns(test, spec), test, spec, 1.0, 500)


def features_of_columns(rows: pd.DataFrame, spec: Spec) -> NDArray[np.float64]:
    """Return features (B, F) of the columns of a table."""
    from tidemill.models.common.columns import Expanded
    from tidemill.tokens.batches import Batches
    from tidemill.tokens.columns import column_inputs, encode
    from tidemill.tokens.shards import MemoryShards

    [batch] = Batches(MemoryShards(encode(rows, spec["columns"])), len(rows))
    features: NDArray[np.float64] = Expanded(spec["columns"])(*column_inputs(batch)).double().numpy()
    return features


def constants(train: pd.DataFrame, test: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Predict the mean of the training rows' targets for every test row, and the median."""
    values = {"mean": train["target"].mean(), "median": train["target"].median()}
    return {name: numbers(test, np.full(len(test), value)) for name, value in values.items()}


def ridge(train_features: Any, train: pd.DataFrame, test_features: Any, test: pd.DataFrame) -> pd.DataFrame:
    """Predict by ridge regression; of several penalties, the one that is best by five-fold cross-validation."""
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GridSearchCV, KFold

    folds = KFold(min(5, len(train)), shuffle=True, random_state=0)
    search = GridSearchCV(
        Ridge(solver="auto"), {"alpha": list(10.0 ** np.arange(-2, 4))}, cv=folds, scoring="neg_mean_squared_error"
    )
    return numbers(test, search.fit(train_features, train["target"]).predict(test_features))


def numbers(test: pd.DataFrame, predicted: NDArray[np.float64]) -> pd.DataFrame:
    """Return predictions of numbers for the test rows."""
    return pd.DataFrame({"id": test["id"], "target": test["target"], "prediction": predicted, "confidence": np.nan})


def linear_shape(spec: Spec) -> list[int]:
    """Return the shape that a linear model of pictures sees."""
    height, width, channels = spec["shape"]
    return [min(height, LINEAR_SIDE), min(width, LINEAR_SIDE), channels]


def scaled(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return pixels (B, H, W, C) as values (B, H * W * C) from 0 to 1."""
    flat = pixels.reshape(len(pixels), -1).astype(np.float32)
    flat /= 255
    return flat


def _logistic(
    train_features: Any,
    train: pd.DataFrame,
    test_features: Any,
    test: pd.DataFrame,
    spec: Spec,
    penalty: float,
    steps: int,
) -> pd.DataFrame:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1 / penalty, max_iter=steps)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the last digits of the loss are not worth the wait
        model.fit(train_features, encode_labels(train, spec))
    probabilities = np.zeros((len(test), len(spec["labels"])))
    probabilities[:, model.classes_] = model.predict_proba(test_features)
    return _predictions(test, probabilities, spec)


def _predictions(test: pd.DataFrame, probabilities: NDArray[np.float64], spec: Spec) -> pd.DataFrame:
    best = probabilities.argmax(axis=1)
    return pd.DataFrame(
        {
            "id": test["id"],
            "label": test["label"],
            "prediction": [spec["labels"][number] for number in best],
            "confidence": probabilities[np.arange(len(best)), best],
            "probabilities": list(probabilities),
        }
    )
