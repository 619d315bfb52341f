"""Scoring: answers compared as SQuAD does.

Rajpurkar et al., 2016 and 2018; the rules are those of the official `evaluate-v2.0.py`.
"""

import re
import string
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tidemill.core.intervals import Metrics
from tidemill.core.meaning import Meaning
from tidemill.core.spec import Spec
from tidemill.tasks.common import scoring as common

MAIN_METRIC = "f1"
MEANINGS = {
    "f1": Meaning(
        "words that prediction and answer share: harmonic mean of precision and recall, as SQuAD counts them"
    ),
    "exact_match": Meaning("share of predictions that are an accepted answer but for case, punctuation and articles"),
    "calibration_error": Meaning(common.CALIBRATION_ERROR, higher_is_better=False),
    "no_answer_accuracy": Meaning("share of questions predicted rightly to have an answer in the text, or none"),
}
ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)


def score(predictions: pd.DataFrame, spec: Spec) -> pd.DataFrame:
    """Return the predictions with the metrics of each row.

    `label` is the accepted answer nearest to the prediction; `exact_match` and `f1` are those of SQuAD; `correct` is an
    exact match; `loss` is the negative log of the confidence in that, in nats.
    """
    accepted = [[answer["text"] for answer in answers] for answers in predictions["answers"]]
    pairs = list(zip(predictions["prediction"], accepted, strict=True))
    exact = np.array([exact_match(prediction, answers) for prediction, answers in pairs])
    confidence = predictions["confidence"].to_numpy(dtype=np.float64)
    chance = np.where(exact == 1, confidence, 1 - confidence)
    return predictions.assign(
        label=[max(answers, key=lambda answer: f1(prediction, [answer]), default="") for prediction, answers in pairs],
        exact_match=exact,
        f1=[f1(prediction, answers) for prediction, answers in pairs],
        correct=exact == 1,
        loss=-np.log(np.maximum(chance, np.finfo(np.float64).eps)),
    )


def metrics(predictions: pd.DataFrame, spec: Spec) -> Metrics:
    """Return F1, exact match, calibration error and, where some questions have no answer, the accuracy of telling so."""
    exact, overlap = (predictions[name].to_numpy(dtype=np.float64) for name in ("exact_match", "f1"))
    calibration_error = common.calibration_error(predictions["confidence"], exact)
    answered = predictions["answers"].map(len).to_numpy() > 0
    right = answered == predictions["prediction"].ne("").to_numpy()

    def weighted(weights: NDArray[np.int64]) -> dict[str, float]:
        total = weights.sum()
        found = {"f1": float(weights @ overlap / total), "exact_match": float(weights @ exact / total)}
        found["calibration_error"] = calibration_error(weights)
        return found | ({"no_answer_accuracy": float(weights @ right / total)} if spec["may_be_none"] else {})

    return weighted


def plots(predictions: pd.DataFrame, spec: Spec) -> dict[str, pd.DataFrame]:
    """Return `calibration`: confidence, share of exact matches and rows of each bin."""
    return {"calibration": common.calibration(predictions["confidence"], predictions["exact_match"])}


def is_same(one: "pd.Series[str]", other: "pd.Series[str]") -> "pd.Series[bool]":
    """Return whether two answers are the same but for case, punctuation, articles and white space."""
    return common.equal(one.map(normalised), other.map(normalised))


def exact_match(prediction: str, answers: Sequence[str]) -> float:
    """Return 1 if the prediction is one of the answers but for case, punctuation, articles and white space, else 0."""
    return float(any(normalised(prediction) == normalised(answer) for answer in answers or [""]))


def f1(prediction: str, answers: Sequence[str]) -> float:
    """Return the largest harmonic mean of precision and recall in words, over the answers."""
    return max(_f1(normalised(prediction).split(), normalised(answer).split()) for answer in answers or [""])


def normalised(text: str) -> str:
    """Return a text in small letters, without punctuation and English articles, with single spaces."""
    return " ".join(ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split())


def _f1(predicted: list[str], actual: list[str]) -> float:
    if not predicted or not actual:  # no answer is right where there is none
        return float(predicted == actual)
    common_words = sum((Counter(predicted) & Counter(actual)).values())
    return 2 * common_words / (len(predicted) + len(actual))
