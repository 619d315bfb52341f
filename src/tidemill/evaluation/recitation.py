"""What a generator recites: how much of what it generates stands in its training texts, word for word or nearly so.

Verbatim is what Carlini et al. (Quantifying Memorization Across Neural Language Models, 2023) call it: a run of at least 50
tokens that a training text has as well. A near copy is a text most of whose shingles stand in one training text
(containment; Broder, On the Resemblance and Containment of Documents, 1997).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tidemill.core import conversations
from tidemill.core.intervals import Bootstrap, Interval, intervals, share
from tidemill.evaluation import membership
from tidemill.evaluation.params import Recitation

if TYPE_CHECKING:
    from tidemill.inference.predictor import Predictor

OPENING = 100
"""Characters of a training text that are given to the model to go on from; of a conversation all but its last response."""
SHINGLE = 5
"""Tokens of a shingle."""
CONTAINED = 0.5
"""Share of a text's shingles that stand in one training text, from which it is a near copy of that."""
MEANINGS = {
    "verbatim": "share of the generated tokens in runs of at least {least} that stand in a training text",
    "near_copies": f"share of the generated texts of whose {SHINGLE}-token shingles at least {CONTAINED:.0%} stand in one "
    "training text",
}


def recitation(predictor: "Predictor", train: pd.DataFrame, params: Recitation, bootstrap: Bootstrap) -> dict[str, Any]:
    """Return what a model recites when it goes on from the openings of training texts, as `evaluation.json` holds it.

    It generates as it does for a request without options, but for the number of tokens.
    """
    prompts = [_opening(text) for text in membership.sample(train, params.texts, bootstrap.seed)["text"]]
    generated = predictor.predict(prompts, new_tokens=params.tokens)["prediction"].tolist()
    known = ["\n".join(content for content, _ in conversations.parts(text)) for text in train["text"]]
    texts, training = (_as_texts(predictor.tokenizer, part) for part in (generated, known))
    return measured(texts, training, params.least, bootstrap)


def measured(texts: Sequence[str], training: Sequence[str], least: int, bootstrap: Bootstrap) -> dict[str, Any]:
    """Return `texts`, their number, `least`, and the shares `verbatim` and `near_copies` with their intervals.

    Args:
        texts: generated texts, a character a token.
        training: training texts, written alike.
        least: tokens of a run that counts as verbatim.
    """
    lengths = np.array([len(text) for text in texts])
    whole = "\0".join(training)
    recited = np.array([int(_verbatim(text, whole, least).sum()) for text in texts])
    copies = int(_near_copies(texts, training).sum())
    return {
        "texts": len(texts),
        "least": least,
        "verbatim": _verbatim_share(recited, lengths, bootstrap),
        "near_copies": share(copies, len(texts), bootstrap.confidence),
    }


def named(found: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Return what `recitation` found as rows of a table: `name`, `meaning`, and `found`, a value with its interval."""
    if found is None:
        return []
    return [
        {"name": name.replace("_", " "), "meaning": meaning.format(least=found["least"]), "found": found[name]}
        for name, meaning in MEANINGS.items()
    ]


def _opening(text: str) -> str:
    return text if conversations.read(text) is not None else text[:OPENING]


def _as_texts(tokenizer: Any, texts: list[str]) -> list[str]:
    """Write a character for each token, so that a run of tokens is found as a part of a text is."""
    from tidemill.tokens import bpe

    tokens = bpe.encode(tokenizer, texts)
    return ["".join(chr(token + 1) for token in tokens[row].tolist()) for row in range(len(tokens))]


def _verbatim(text: str, whole: str, least: int) -> NDArray[np.bool_]:
    """Return which characters of a text (N,) are in runs of at least `least` that stand in the whole."""
    marks = np.zeros(len(text), dtype=np.bool_)
    for start in range(len(text) - least + 1):
        if text[start : start + least] in whole:
            marks[start : start + least] = True
    return marks


def _near_copies(texts: Sequence[str], training: Sequence[str]) -> NDArray[np.bool_]:
    """Return which texts (N,) are near copies of a training text."""
    shingles = [_shingles(text) for text in texts]
    wanted = frozenset[str]().union(*shingles)
    most = np.zeros(len(texts))
    for text in training:
        if found := wanted & _shingles(text):
            most = np.maximum(most, [len(own & found) / max(1, len(own)) for own in shingles])
    copies: NDArray[np.bool_] = most >= CONTAINED
    return copies


def _shingles(text: str) -> set[str]:
    return {text[start : start + SHINGLE] for start in range(len(text) - SHINGLE + 1)}


def _verbatim_share(recited: NDArray[np.int64], lengths: NDArray[np.int64], bootstrap: Bootstrap) -> Interval:
    """Measure the share of tokens, texts drawn anew; where all draws are alike, the interval is that of as many texts."""

    def weighted(weights: NDArray[np.int64]) -> dict[str, float]:
        return {"verbatim": int(weights @ recited) / max(1, int(weights @ lengths))}

    found = intervals(weighted, len(lengths), bootstrap)["verbatim"]
    wilson = share(round(found["value"] * len(lengths)), len(lengths), bootstrap.confidence)
    return found | {"low": min(found["low"], wilson["low"]), "high": max(found["high"], wilson["high"])}
