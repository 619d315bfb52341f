"""N-grams: the weights of scikit-learn's TF-IDF, a saved form that gives the same again, memory that does not grow."""

import os
import subprocess
import sys
import tracemalloc
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from tokenizers import Tokenizer

from tidemill.core.errors import TidemillError
from tidemill.tokens import ngrams, saved, tokenizers
from tidemill.tokens.ngrams import NGrams

TEXTS = ["the cat sat on the mat", "The dog sat", "a cat and a dog", "房间很干净，很满意", "房间不干净", "很不满意!"]
FIT = """
import sys
from tidemill.tokens import ngrams
texts = [f"{word} {other}" for word in "abcdefgh" for other in ("ab", "cd", "ef", "房间")]
ngrams.fit(texts, [1, 2], [1, 3], 40, 1, False).save(sys.argv[1])
"""


def fit(words: list[int] | None = None, characters: list[int] | None = None, **changes: object) -> NGrams:
    return ngrams.fit(TEXTS, words, characters, **{"most": 1000, "fewest": 1, "hashed": False, **changes})  # type: ignore[arg-type]


def dense(found: NGrams, texts: list[str]) -> np.ndarray:
    """The weights as a matrix (texts, n-grams)."""
    columns = found.encode(texts)
    matrix = np.zeros((len(texts), found.get_vocab_size()))
    for row, place in enumerate(matrix):
        place[columns["ngrams"][row]] = columns["weights"][row]
    return matrix


@pytest.mark.parametrize(
    ("words", "characters", "theirs"),
    [
        (None, [1, 3], {"analyzer": "char_wb", "ngram_range": (1, 3)}),
        ([1, 2], None, {"token_pattern": ngrams.WORD, "ngram_range": (1, 2)}),
    ],
    ids=["characters", "words"],
)
def test_weights_are_those_of_scikit_learn(
    words: list[int] | None, characters: list[int] | None, theirs: dict[str, object]
) -> None:
    vectorizer = TfidfVectorizer(sublinear_tf=True, **theirs)
    expected = vectorizer.fit_transform(TEXTS).toarray()
    found = fit(words, characters)
    assert found.grams is not None
    order = [vectorizer.vocabulary_[gram.removeprefix(ngrams.MARK).replace(ngrams.MARK, " ")] for gram in found.grams]
    np.testing.assert_allclose(dense(found, TEXTS), expected[:, order], atol=1e-6)
    new = ["the dog and 干净的房间"]
    np.testing.assert_allclose(dense(found, new), vectorizer.transform(new).toarray()[:, order], atol=1e-6)


def test_each_text_has_its_ids_once_and_in_order_and_weights_of_length_1() -> None:
    columns = fit([1, 2], [1, 4]).encode(TEXTS)
    assert (columns["ngrams"].values.dtype, columns["weights"].values.dtype) == (np.uint32, np.float32)
    for row in range(len(TEXTS)):
        assert (np.diff(columns["ngrams"][row].astype(int)) > 0).all()
        assert np.linalg.norm(columns["weights"][row]) == pytest.approx(1, abs=1e-6)


def test_words_are_not_taken_for_the_same_characters() -> None:
    found = fit([1, 1], [3, 3])
    shown = [found.shown(number) for number in range(found.get_vocab_size())]
    assert ("words", "cat") in shown and ("characters", "cat") in shown
    assert ("words", "the cat") in [fit([2, 2]).shown(number) for number in range(fit([2, 2]).get_vocab_size())]


def test_chinese_has_words_of_one_character() -> None:
    assert {("words", "房 间"), ("words", "满 意")} <= {
        fit([2, 2]).shown(n) for n in range(fit([2, 2]).get_vocab_size())
    }


def test_a_text_without_any_known_ngram_has_one_of_weight_0() -> None:
    columns = fit(characters=[2, 3]).encode(["", "xyz", "a cat"])
    assert columns["ngrams"].lengths.tolist()[:2] == [1, 1]
    assert columns["weights"][0].tolist() == columns["weights"][1].tolist() == [0.0]
    assert columns["weights"][2].all()


def test_the_ngrams_in_the_most_texts_are_kept_those_before_in_the_alphabet_first() -> None:
    found = ngrams.fit(["b a", "c a", "b c", "d"], [1, 1], None, 2, 1, False)
    assert found.grams == (f"{ngrams.MARK}a", f"{ngrams.MARK}b") and found.frequencies.tolist() == [2, 2]
    assert set(ngrams.fit(["b a", "a", "c"], [1, 1], None, 9, 2, False).grams or ()) == {f"{ngrams.MARK}a"}


def test_a_count_that_no_ngram_reaches_is_named() -> None:
    with pytest.raises(TidemillError, match=r"no n-gram occurs in 9 training texts: lower tokenize\.minimum_count"):
        fit([1, 2], fewest=9)


def test_rare_ngrams_are_forgotten_before_they_fill_the_memory() -> None:
    often = [f"often{number % 7} rare{number}" for number in range(5000)]
    found = ngrams.fit(iter(often), [1, 1], None, 20, 2, False)
    assert found.grams is not None and found.texts == 5000
    counts = dict(zip(found.grams, found.frequencies.tolist(), strict=True))
    assert {f"{ngrams.MARK}often{number}" for number in range(7)} == set(counts)
    assert all(700 <= count <= 715 for count in counts.values())


@pytest.mark.parametrize("hashed", [False, True], ids=["fitted", "hashed"])
def test_memory_does_not_grow_with_the_texts(hashed: bool) -> None:
    def peak(texts: int) -> int:
        generator = np.random.default_rng(0)
        rows = (" ".join(map(str, generator.integers(0, 10**6, 20))) for _ in range(texts))
        tracemalloc.start()
        ngrams.fit(rows, [1, 2], None, 500, 1, hashed)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(4000) < 1.3 * peak(1000)


@pytest.mark.parametrize("hashed", [False, True], ids=["fitted", "hashed"])
def test_saved_ngrams_give_the_same_again(tmp_path: Path, hashed: bool) -> None:
    path = tmp_path / "tokenizer.json"
    found = fit([1, 2], [1, 3], hashed=hashed, most=64)
    found.save(str(path))
    again = saved.read(path)
    assert isinstance(again, NGrams) and again.get_vocab_size() == found.get_vocab_size() <= 64
    for name, column in found.encode(TEXTS).items():
        assert again.encode(TEXTS)[name].values.tobytes() == column.values.tobytes()


def test_a_hash_names_no_ngram_and_needs_no_count() -> None:
    found = fit([1, 2], hashed=True, most=32, fewest=99)
    assert found.shown(7) == ("buckets", "7")
    assert found.frequencies.max() <= len(TEXTS) and (found.encode(TEXTS)["ngrams"].values < 32).all()


def test_the_file_does_not_depend_on_the_order_of_sets(tmp_path: Path) -> None:
    for seed in "12":
        path = tmp_path / seed
        environment = os.environ | {"PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", FIT, str(path)], env=environment, check=True)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_other_tokenizers_are_read_as_before_and_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    tokenizers.fit_vocabulary(islice(TEXTS, 3), "words", 20).save(str(path))
    assert isinstance(saved.read(path), Tokenizer)
    path.write_text(path.read_text()[:100])
    with pytest.raises(TidemillError, match=r"tokenizer\.json is damaged"):
        saved.read(path)
