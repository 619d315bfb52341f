"""Any fast tokenizer: texts and pairs as its own post-processor frames them."""

from pathlib import Path

import pandas as pd
import pytest

from tests.unit.tokens import fast_tokenizers
from tests.unit.tokens.fast_tokenizers import ALL, saved
from tidemill.core.errors import TidemillError
from tidemill.tasks.question_answering import encoding
from tidemill.tasks.text_classification import encoding as labels
from tidemill.tasks.text_generation import encoding as generation
from tidemill.tokens import pairs, tokenizers

QUESTION, CONTEXT = "Who sailed it home?", "The captain sailed it home in May, and the cat slept."
ANSWER = "captain"


def rows() -> pd.DataFrame:
    answers = [{"text": ANSWER, "start": CONTEXT.index(ANSWER)}]
    return pd.DataFrame({"id": ["0"], "question": [QUESTION], "context": [CONTEXT], "answers": [answers]})


@pytest.mark.parametrize("name", ALL)
def test_a_window_is_a_pair_as_the_tokenizer_itself_encodes_it(tmp_path: Path, name: str) -> None:
    params = encoding.Tokenize(tokenizer=saved(ALL[name](), tmp_path), length=120, overlap=8)
    tokenizer = encoding.fit(iter([]), params)
    spec = encoding.specify(iter([rows()]), params, tokenizer)
    columns = encoding.encode(rows(), tokenizer, spec)
    whole = ALL[name]().encode(QUESTION, CONTEXT)
    assert columns["tokens"][0].tolist() == whole.ids
    assert columns["segments"][0].tolist() == whole.type_ids
    assert columns["windows"][0].tolist() == [len(whole.ids)]
    start, stop = columns["starts"][0][0], columns["stops"][0][0]
    assert start > 0
    begin, end = columns["begins"][0], columns["ends"][0]
    assert CONTEXT[begin[start] : end[stop]] == ANSWER  # no space around it, whatever the tokenizer counts to a token
    context = range(columns["head"][0], len(whole.ids) - columns["tail"][0])
    assert CONTEXT[begin[context[0]] : end[context[-1]]] == CONTEXT


@pytest.mark.parametrize("name", ALL)
def test_a_long_context_is_cut_into_windows_of_the_length(tmp_path: Path, name: str) -> None:
    params = encoding.Tokenize(tokenizer=saved(ALL[name](), tmp_path), length=40, overlap=8, question=20)
    tokenizer = encoding.fit(iter([]), params)
    spec = encoding.specify(iter([rows()]), params, tokenizer)
    columns = encoding.encode(rows().assign(context=[CONTEXT * 8]), tokenizer, spec)
    windows, (head, tail) = columns["windows"][0], (columns["head"][0], columns["tail"][0])
    assert len(windows) > 2 and windows.max() == 40
    starts = windows.cumsum() - windows
    assert {tuple(columns["tokens"][0][at : at + head]) for at in starts} == {tuple(columns["tokens"][0][:head])}
    framed = pairs.frame(tokenizer)
    assert all(columns["tokens"][0][end - tail : end].tolist() == framed.after for end in windows.cumsum())


def test_a_length_without_room_for_the_context_is_refused(tmp_path: Path) -> None:
    params = encoding.Tokenize(
        tokenizer=saved(fast_tokenizers.byte_level("roberta"), tmp_path), length=32, overlap=8, question=20
    )
    with pytest.raises(TidemillError, match="no room for more than question, overlap and the 4 tokens"):
        encoding.specify(iter([rows()]), params, encoding.fit(iter([]), params))


@pytest.mark.parametrize("name", ALL)
def test_a_text_is_what_the_tokenizer_itself_encodes_and_cut_to_the_length(tmp_path: Path, name: str) -> None:
    params = labels.Tokenize(tokenizer=saved(ALL[name](), tmp_path), length=12)
    table = pd.DataFrame({"text": [QUESTION, CONTEXT, ""], "label": ["a", "b", "a"]})
    tokenizer = labels.fit(iter([table]), params)
    spec = labels.specify(iter([table]), params, tokenizer)
    assert spec["vocabulary"] == tokenizers.size(tokenizer) == max(tokenizer.get_vocab().values()) + 1
    tokens = labels.encode(table, tokenizer, spec)["tokens"]
    own = ALL[name]()
    assert tokens[2].tolist() == own.encode("").ids
    own.enable_truncation(12)
    assert [row.tolist() for row in tokens[:2]] == [own.encode(text).ids for text in (QUESTION, CONTEXT)]


def test_an_empty_text_of_a_tokenizer_without_special_tokens_is_one_token(tmp_path: Path) -> None:
    plain = fast_tokenizers.byte_level("llama")
    plain.post_processor = None
    params = labels.Tokenize(tokenizer=saved(plain, tmp_path), length=12)
    table = pd.DataFrame({"text": ["", "a"], "label": ["a", "b"]})
    tokenizer = labels.fit(iter([table]), params)
    assert [
        len(row) for row in labels.encode(table, tokenizer, labels.specify(iter([table]), params, tokenizer))["tokens"]
    ] == [1, 1]


@pytest.mark.parametrize(("name", "end"), [("byte-level as Llama's", "</s>"), ("Unigram", "</s>")])
def test_texts_of_a_language_model_are_apart_by_the_token_that_is_named(tmp_path: Path, name: str, end: str) -> None:
    file = saved(ALL[name](), tmp_path)
    params = generation.Tokenize(tokenizer=file, length=16, end=end)
    tokenizer = generation.fit(iter([]), params)
    spec = generation.specify(iter([]), params, tokenizer)
    assert spec["end"] == tokenizer.token_to_id(end)
    table = pd.DataFrame({"text": ["the cat slept", "in May"]})
    tokens = generation.encode(table, tokenizer, spec)["tokens"]
    own = ALL[name]()
    expected = [[spec["end"], *own.encode(text, add_special_tokens=False).ids] for text in table["text"]]
    assert [tokens[row].tolist() for row in range(2)] == expected
    with pytest.raises(TidemillError, match=r"has no <\|endoftext\|>.*name one that it has in tokenize\.end: .*</s>"):
        generation.fit(iter([]), generation.Tokenize(tokenizer=file, length=16))


def test_a_tokenizer_that_changes_a_text_of_a_pair_is_refused() -> None:
    tokenizer = fast_tokenizers.byte_level("roberta")
    tokenizer.enable_truncation(5)
    with pytest.raises(TidemillError, match="encodes a text of a pair in another way"):
        pairs.frame(tokenizer)
