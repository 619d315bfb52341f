"""Byte-level BPE: OpenAI's ids, and every text comes back."""

import gzip
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.core.errors import TidemillError
from tidemill.core.files import write_json
from tidemill.tokens import bpe

PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""
"""How GPT-2 cuts text into words, as `tiktoken` writes it."""
TEXTS = [
    "",
    " ",
    "It's a truth universally acknowledged, isn't it? They'll say we've 1,234 o'clocks.",
    "秦川雄帝宅，函谷壯皇居。\n綺殿千尋起，離宮百雉餘。",
    "one\r\n\n\n  two\t\tthree   ",
    "👩‍👩‍👧 🙂 e\u0301 \u202eשלום עולם",
    f"before {bpe.END} after",
    "x" * 1000,
    bpe.PROBE,
]


@pytest.fixture(scope="module")
def fitted():
    return bpe.fit(TEXTS * 3, 400)


@pytest.fixture(scope="module")
def merges(fitted, tmp_path_factory):
    """A `vocab.bpe` in OpenAI's layout, of merges learned here."""
    pairs = json.loads(fitted.to_str())["model"]["merges"]
    file = tmp_path_factory.mktemp("openai") / "vocab.bpe"
    file.write_text("#version: 0.2\n" + "\n".join(" ".join(pair) for pair in pairs) + "\n", encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def tokenizer(merges):
    return bpe.read(merges)


@pytest.fixture(scope="module")
def theirs(merges):
    """The tokenizer of `tiktoken` with the same merges."""
    return reference(merges, merges.with_name("encoder.json"))


def reference(merges: Path, encoder: Path):
    """Of a `vocab.bpe`; `tiktoken` checks it against an `encoder.json`, made here where OpenAI's own is not there."""
    import tiktoken
    from tiktoken.load import data_gym_to_mergeable_bpe_ranks

    if not encoder.exists():
        write_json(encoder, bpe.read(merges).get_vocab())
    ranks = data_gym_to_mergeable_bpe_ranks(str(merges), str(encoder))
    return tiktoken.Encoding("local", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={bpe.END: len(ranks)})


def test_ids_equal_those_of_tiktoken(tokenizer, theirs):
    assert tokenizer.get_vocab_size() == theirs.n_vocab
    found = bpe.encode(tokenizer, TEXTS)
    assert [list(found[row]) for row in range(len(TEXTS))] == [theirs.encode_ordinary(text) for text in TEXTS]


@given(st.text())
def test_any_text_has_the_ids_of_tiktoken_and_comes_back(tokenizer, theirs, text):
    ids = bpe.encode(tokenizer, [text])[0].tolist()
    assert ids == theirs.encode_ordinary(text)
    assert tokenizer.decode(ids, skip_special_tokens=False) == text


@given(st.lists(st.text(), min_size=1))
def test_texts_encoded_together_or_apart_are_the_same_and_come_back(fitted, texts):
    together = bpe.encode(fitted, texts)
    assert len(together) == len(texts) and together.values.dtype == np.uint32
    for row, text in enumerate(texts):
        assert together[row].tolist() == bpe.encode(fitted, [text])[0].tolist()
        assert fitted.decode(together[row].tolist(), skip_special_tokens=False) == text


def test_the_end_of_text_is_only_text_where_a_text_holds_it(fitted):
    end = fitted.token_to_id(bpe.END)
    assert end == 0
    assert end not in bpe.encode(fitted, [f"a{bpe.END}b"]).values


def test_a_saved_tokenizer_is_the_same(fitted, tmp_path):
    fitted.save(str(tmp_path / "tokenizer.json"))
    again = bpe.read(tmp_path / "tokenizer.json")
    assert np.array_equal(bpe.encode(again, TEXTS).values, bpe.encode(fitted, TEXTS).values)


def test_without_the_fast_encoder_the_ids_are_the_same_and_it_is_said_once(fitted, monkeypatch, capsys):
    expected = bpe.encode(fitted, TEXTS)
    bpe._fast.cache_clear()
    monkeypatch.setitem(sys.modules, "fastokens", None)  # as if it were not installed
    found = [bpe.encode(fitted, TEXTS) for _ in range(2)]
    bpe._fast.cache_clear()
    assert all(np.array_equal(one.values, expected.values) for one in found)
    assert all(np.array_equal(one.offsets, expected.offsets) for one in found)
    assert capsys.readouterr().out.count("fastokens is not installed") == 1


def test_fitting_twice_gives_the_same_tokenizer():
    assert bpe.fit(TEXTS, 300).to_str() == bpe.fit(TEXTS, 300).to_str()


@pytest.mark.parametrize("name", bpe.FILES)
def test_a_damaged_file_is_told_in_one_line(tmp_path, name):
    (tmp_path / name).write_bytes(gzip.compress(b"not a tokenizer"))
    with pytest.raises(TidemillError, match=name) as raised:
        bpe.read(tmp_path / name)
    assert "\n" not in str(raised.value)


def test_a_tokenizer_without_an_end_of_text_is_refused(tmp_path):
    from tidemill.tokens.tokenizers import fit_vocabulary

    fit_vocabulary(["some words"], "words", 10).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(TidemillError, match="endoftext"):
        bpe.read(tmp_path / "tokenizer.json")
