"""Features of texts that are compared as distributions, by the n-grams of a version's tokenizer."""

from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from tidemill.serving.features import described
from tidemill.tasks.text_classification import rows as text_rows
from tidemill.tokens import ngrams

TEXTS = ["the room is clean", "the room is dark", "the room and the bed"]


def features(hashed: bool, texts: list[str]) -> pd.DataFrame:
    tokenizer = ngrams.fit(TEXTS, [1, 1], None, 64, 1, hashed)
    predictor: Any = SimpleNamespace(
        rows=text_rows, tokenizer=tokenizer, inputs=("text",), spec={"labels": ["a", "b"]}, predicts_numbers=False
    )
    predictions = pd.DataFrame({"prediction": "a", "confidence": 0.5}, index=range(len(texts)))
    return described(predictor, pd.DataFrame({"text": texts}), predictions)


def test_new_and_rare_words_raise_two_features() -> None:
    found = features(False, ["the room", "clean bed", "zebra room", ""])
    assert found["text.n-grams"].tolist() == [2, 2, 2, 0]
    assert found["text.unknown"].tolist() == pytest.approx([0.0, 0.0, 0.5, 1.0])
    assert found["text.rarity"][0] < found["text.rarity"][1] <= 1


def test_a_hash_says_nothing_of_how_rare_a_word_is() -> None:
    found = features(True, ["the room", "zebra"])
    assert "text.rarity" not in found and found["text.unknown"].tolist() == [0.0, 0.0]
