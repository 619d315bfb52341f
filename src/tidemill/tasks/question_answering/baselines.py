"""Baselines: the first sentence, and the part of the sentence most like the question that the question lacks."""

import re

import numpy as np
import pandas as pd

from tidemill.core.spec import Spec
from tidemill.tasks.question_answering.scoring import score

SENTENCE = re.compile(r"[^.!?。！？\n]+(?:[.!?](?!\s)[^.!?。！？\n]*)*[.!?。！？]*")
"""Up to a full stop, or to one that white space follows, since `3.5` and `U.S.A.` are one word."""
PHRASE = re.compile(r"[^,;:()\"“”—–]+")
WORD = re.compile(r"\w+")
LONGEST = 10
"""Words of an answer at most."""


def baselines(train: pd.DataFrame, test: pd.DataFrame, spec: Spec) -> dict[str, pd.DataFrame]:
    """Return the scored predictions of `opening` and `lexical`."""
    tables = {"opening": first_sentence(test), "lexical": lexical(train, test)}
    return {name: score(table, spec) for name, table in tables.items()}


def first_sentence(test: pd.DataFrame) -> pd.DataFrame:
    """Answer with the first sentence of each context."""
    return _predictions(test, [_sentences(context)[0] for context in test["context"]], np.ones(len(test)))


def lexical(train: pd.DataFrame, test: pd.DataFrame) -> pd.DataFrame:
    """Answer out of the sentence most like the question by TF-IDF, with the words beside those of the question.

    After the sliding window of Rajpurkar et al. (2016), section 5, with the similarity of whole sentences.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(sublinear_tf=True, stop_words=None).fit(train["context"].drop_duplicates())
    found = [_most_similar(vectorizer, *row) for row in zip(test["question"], test["context"], strict=True)]
    answers = [_new_words(sentence, question) for (sentence, _), question in zip(found, test["question"], strict=True)]
    return _predictions(test, answers, np.array([similarity for _, similarity in found]))


def _most_similar(vectorizer, question: str, context: str) -> tuple[str, float]:  # type: ignore[no-untyped-def]
    sentences = _sentences(context)
    similarities = (vectorizer.transform(sentences) @ vectorizer.transform([question]).T).toarray()[:, 0]
    return sentences[int(similarities.argmax())], float(np.clip(similarities.max(), 0, 1))


def _new_words(sentence: str, question: str) -> str:
    """Return the longest run of words between commas that the question lacks, cut to a likely length."""
    in_question = {word.casefold() for word in WORD.findall(question)}
    runs: list[list[re.Match[str]]] = [[]]
    for phrase in PHRASE.finditer(sentence):
        runs.append([])
        for word in WORD.finditer(sentence, *phrase.span()):
            if word[0].casefold() in in_question:
                runs.append([])
            else:
                runs[-1].append(word)
    longest = max(runs, key=len)[:LONGEST]
    return sentence[longest[0].start() : longest[-1].end()] if longest else sentence


def _sentences(context: str) -> list[str]:
    return [found for sentence in SENTENCE.findall(context) if (found := sentence.strip())] or [context]


def _predictions(test: pd.DataFrame, answers: list[str], confidence: np.ndarray) -> pd.DataFrame:
    return test[["id", "answers"]].assign(prediction=answers, confidence=confidence)
