"""Fitted vocabularies, saved in the standard format."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from tidemill.tokens.tokenizers import Unit, fit_vocabulary

TEXTS = ["很好很好很好，下次再来", "The room was fine, really fine!", "不好"]


def test_characters_are_told_apart_and_padding_is_zero() -> None:
    tokenizer = fit_vocabulary(TEXTS, "characters", 100)
    assert tokenizer.token_to_id("[PAD]") == 0 and tokenizer.token_to_id("[UNK]") == 1
    assert tokenizer.encode("很好，x").tokens == ["很", "好", "，", "[UNK]"]


def test_words_are_cut_at_spaces_and_marks_and_chinese_by_the_character() -> None:
    tokenizer = fit_vocabulary(TEXTS, "words", 100)
    assert tokenizer.encode("the ROOM, 不好").tokens == ["the", "room", ",", "不", "好"]


def test_the_rarest_units_give_way() -> None:
    tokenizer = fit_vocabulary(TEXTS, "characters", 5)
    assert tokenizer.get_vocab_size() == 5
    assert "好" in tokenizer.get_vocab()


@pytest.mark.parametrize("unit", ["characters", "words"])
def test_it_is_saved_in_the_standard_format(tmp_path: Path, unit: Unit) -> None:
    fitted = fit_vocabulary(TEXTS, unit, 100)
    fitted.save(str(tmp_path / "tokenizer.json"))
    read = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert [read.encode(text).ids for text in TEXTS] == [fitted.encode(text).ids for text in TEXTS]


@given(text=st.text(alphabet="".join(sorted(set("".join(TEXTS))))))
def test_known_characters_come_back_as_they_were(text: str) -> None:
    tokenizer = fit_vocabulary(TEXTS, "characters", 100)
    assert "".join(tokenizer.encode(text).tokens) == text
