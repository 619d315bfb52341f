"""Recitation: counted by hand, and of generators that recite, or cannot, by construction."""

import random
from typing import Any

import pandas as pd
import pytest
from pydantic import ValidationError
from tokenizers import Tokenizer

from tidemill.core.conversations import written
from tidemill.core.intervals import Bootstrap
from tidemill.evaluation import recitation
from tidemill.evaluation.params import Recitation
from tidemill.tokens import bpe

BOOTSTRAP = Bootstrap(resamples=200)
PARAMS = Recitation(texts=30, tokens=60)
WORDS = [
    f"{first}{second}" for first in ("ba", "ko", "mi", "tu", "re") for second in ("lan", "dor", "vek", "sim", "pu")
]


def text(seed: int, words: int = 200) -> str:
    chance = random.Random(seed)
    return " ".join(chance.choices(WORDS, k=words))


class Generator:
    """Answers an opening with what a function makes of it, by a real tokenizer."""

    def __init__(self, texts: list[str], answer: Any) -> None:
        self.tokenizer: Tokenizer = bpe.fit(texts, 400)
        self.answer = answer

    def predict(self, prompts: list[str], new_tokens: int) -> pd.DataFrame:
        whole = [self.tokenizer.encode(self.answer(prompt)).ids[:new_tokens] for prompt in prompts]
        return pd.DataFrame({"prediction": [self.tokenizer.decode(ids) for ids in whole]})


def measured(answer: Any, texts: list[str], params: Recitation = PARAMS) -> dict[str, Any]:
    model: Any = Generator(texts, answer)
    return recitation.recitation(model, pd.DataFrame({"text": texts}), params, BOOTSTRAP)


TEXTS = [text(seed) for seed in range(40)]


def test_a_model_that_remembers_every_text_recites_all() -> None:
    def continued(prompt: str) -> str:
        return next(one for one in TEXTS if one.startswith(prompt))[len(prompt) :].partition(" ")[2]

    found = measured(continued, TEXTS)
    assert found["texts"] == 30 and found["verbatim"]["value"] > 0.95, "all but a word that was cut"
    assert found["near_copies"]["value"] == 1.0


def test_a_model_that_knows_no_text_recites_nothing_and_that_is_not_certain() -> None:
    found = measured(lambda prompt: text(1000 + len(prompt) + ord(prompt[3])), TEXTS)
    assert found["verbatim"] == pytest.approx({"value": 0.0, "low": 0.0, "high": 0.114}, abs=1e-3), "that of Wilson"
    assert found["near_copies"]["value"] == 0.0


def test_a_text_with_a_word_changed_now_and_then_is_a_near_copy_and_not_verbatim() -> None:
    def continued(prompt: str) -> str:
        words = next(one for one in TEXTS if one.startswith(prompt))[len(prompt) :].split(" ")[1:]
        return " ".join("other" if place % 20 == 19 else word for place, word in enumerate(words))

    found = measured(continued, TEXTS)
    assert found["verbatim"]["value"] == 0.0 and found["near_copies"]["value"] > 0.9


def test_runs_are_counted_whole_and_do_not_reach_from_one_text_to_the_next() -> None:
    training = ["abcdefghij", "klmnopqrst"]
    found = recitation.measured(["xxabcdefxx", "fghijklmno", "cdefgh"], training, 6, BOOTSTRAP)
    assert found["verbatim"]["value"] == pytest.approx((6 + 0 + 6) / 26, abs=1e-6)
    found = recitation.measured(["xxabcdefxx", "fghijklmno", "cdefgh"], training, 5, BOOTSTRAP)
    assert found["verbatim"]["value"] == pytest.approx((6 + 10 + 6) / 26, abs=1e-6)


def test_texts_shorter_than_a_shingle_and_none_at_all_are_no_copies() -> None:
    found = recitation.measured(["", "ab"], ["abcdefgh"], 6, BOOTSTRAP)
    assert found["verbatim"]["value"] == 0.0 and found["near_copies"]["value"] == 0.0


def test_conversations_are_compared_by_what_was_said() -> None:
    said = [text(seed, 60) for seed in range(20)]
    asked = [
        written([{"role": "user", "content": f"say {number}"}, {"role": "assistant", "content": one}])
        for number, one in enumerate(said)
    ]
    model: Any = Generator(said, lambda prompt: said[asked.index(prompt)])
    found = recitation.recitation(model, pd.DataFrame({"text": asked}), PARAMS, BOOTSTRAP)
    assert found["texts"] == 20 and found["verbatim"]["value"] > 0.95


def test_fewer_tokens_than_a_run_has_are_refused() -> None:
    with pytest.raises(ValidationError, match="no text of 50 tokens has a run of 60: raise tokens"):
        Recitation(tokens=50, least=60)
