"""What a model must beat: the commonest label, and a linear model made in seconds."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tidemill.tasks import _labels

HAN_OR_KANA = r"\u3040-\u30ff\u3400-\u9fff"
TOKEN = rf"[{HAN_OR_KANA}]|[^\W{HAN_OR_KANA}]+|[^\w\s]"
"""A character of Chinese or Japanese, which put no space between words; a word; or a sign, an emoji among them."""


def majority(train: pd.DataFrame, test: pd.DataFrame, spec: dict[str, Any]) -> pd.DataFrame:
    """The commonest label of the training rows for every test row, and each label's share as its probability."""
    shares = np.bincount(_labels.encode_labels(train, spec), minlength=len(spec["labels"])) / len(train)
    return _predictions(test, np.tile(shares, (len(test), 1)), spec)


def linear_text(train: pd.DataFrame, test: pd.DataFrame, spec: dict[str, Any]) -> pd.DataFrame:
    """Logistic regression on the TF-IDF of one to three tokens in a row; a row is a text of column `text`."""
    features, test_features = tfidf(train["text"], test["text"])
    return _logistic(features, train, test_features, test, spec, penalty=0.1, steps=200)


def tfidf(train: "pd.Series[str]", test: "pd.Series[str]") -> tuple[Any, Any]:
    """Sparse features of both, as the training texts weigh them."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    often_enough = 2 if len(train) >= 1000 else 1
    vectorizer = TfidfVectorizer(
        token_pattern=TOKEN, ngram_range=(1, 3), min_df=often_enough, sublinear_tf=True, dtype=np.float32
    )
    features = vectorizer.fit_transform(train)
    return features, vectorizer.transform(test)


def linear_pixels(
    train: pd.DataFrame,
    test: pd.DataFrame,
    spec: dict[str, Any],
    pixels: Callable[[pd.DataFrame], NDArray[np.uint8]],
) -> pd.DataFrame:
    """Logistic regression on the pixels, which `pixels` takes out of rows: shape `(rows, height, width, channels)`."""
    features = _flat(pixels(train))
    return _logistic(features, train, _flat(pixels(test)), test, spec, penalty=1.0, steps=30)


def _flat(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    flat = pixels.reshape(len(pixels), -1).astype(np.float32)
    flat /= 255
    return flat


def _logistic(
    train_features: Any,
    train: pd.DataFrame,
    test_features: Any,
    test: pd.DataFrame,
    spec: dict[str, Any],
    penalty: float,
    steps: int,
) -> pd.DataFrame:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1 / penalty, max_iter=steps)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the last digits of the loss are not worth the wait
        model.fit(train_features, _labels.encode_labels(train, spec))
    probabilities = np.zeros((len(test), len(spec["labels"])))
    probabilities[:, model.classes_] = model.predict_proba(test_features)
    return _predictions(test, probabilities, spec)


def _predictions(test: pd.DataFrame, probabilities: NDArray[np.float64], spec: dict[str, Any]) -> pd.DataFrame:
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
