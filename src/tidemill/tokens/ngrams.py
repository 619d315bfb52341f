"""N-grams of words and characters as sparse features: which of them a text has, and their TF-IDF weights.

Weights are (1 + ln tf) · idf, scaled to length 1 over all n-grams of a text (Salton and Buckley, Term-weighting approaches
in automatic text retrieval, 1988), with idf = ln((1 + texts) / (1 + texts with the n-gram)) + 1.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidemill.core.errors import TidemillError
from tidemill.core.files import write_json
from tidemill.tokens.shards import Ragged

HAN_OR_KANA = r"\u3040-\u30ff\u3400-\u9fff"
WORD = rf"[{HAN_OR_KANA}]|[^\W{HAN_OR_KANA}]+|[^\w\s]"
"""A character of Chinese or Japanese, which put no space between words; a word; or a sign, an emoji among them."""
MARK = "\u2581"
"""Stands before each word of an n-gram of words, so that none is taken for one of characters."""
COUNTED = 5
"""N-grams that are counted at once, as a multiple of those that are kept: memory does not grow with the texts."""
FORMAT = "tidemill n-grams"
Lengths = list[int] | None
"""The fewest and the most words or characters of an n-gram; None for none of this kind."""
Split = Callable[[str], list[str]]
Counted = tuple[int, NDArray[np.int64], tuple[str, ...] | None]
"""Texts, how many of them have each n-gram, and the n-grams."""


@dataclass(frozen=True)
class NGrams:
    """Turns texts into the ids and weights of their n-grams."""

    words: Lengths
    characters: Lengths
    texts: int
    """Texts that it was fitted to."""
    frequencies: NDArray[np.int64]
    """By id, how many of these texts have the n-gram (V,)."""
    grams: tuple[str, ...] | None
    """The n-gram of each id; None where an id is the hash of n-grams."""

    def get_vocab_size(self) -> int:
        """Return the number of ids, as tokenizers name it."""
        return len(self.frequencies)

    def save(self, path: str) -> None:
        """Write a `tokenizer.json`."""
        document = {
            "format": FORMAT,
            "words": self.words,
            "characters": self.characters,
            "texts": self.texts,
            "frequencies": self.frequencies.tolist(),
            "grams": self.grams,
        }
        write_json(Path(path), document)

    def encode(self, texts: Sequence[str]) -> dict[str, Ragged]:
        """Return `ngrams`, the ids of each text in order, uint32, and `weights`, float32; of a text without any, id 0 of weight 0."""
        rows = [self._weighted(text) for text in texts]
        offsets = np.cumsum([0, *(len(ids) for ids, _ in rows)], dtype=np.int64)
        return {
            "ngrams": Ragged(np.concatenate([ids for ids, _ in rows]), offsets),
            "weights": Ragged(np.concatenate([weights for _, weights in rows]), offsets),
        }

    def ids(self, text: str) -> list[int | None]:
        """Return the id of each n-gram of a text, in no order; None for one that is not known."""
        return [self._id(gram) for gram in self._split(text)]

    def shown(self, number: int) -> tuple[str, str]:
        """Return whether an id is one of `words`, `characters` or `buckets`, and its n-gram as a reader knows it."""
        if self.grams is None:
            return "buckets", str(number)
        gram = self.grams[number]
        return ("words", gram[1:].replace(MARK, " ")) if gram.startswith(MARK) else ("characters", gram)

    def _weighted(self, text: str) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
        counts = Counter(self.ids(text))
        counts.pop(None, None)
        if not counts:
            return np.zeros(1, np.uint32), np.zeros(1, np.float32)
        ids = np.fromiter(counts.keys(), np.int64, len(counts))
        order = np.argsort(ids)
        times = np.fromiter(counts.values(), np.float64, len(counts))[order]
        weights = (1 + np.log(times)) * self._idf[ids[order]]
        return ids[order].astype(np.uint32), (weights / np.sqrt((weights**2).sum())).astype(np.float32)

    @cached_property
    def _split(self) -> Split:
        return splitter(self.words, self.characters)

    @cached_property
    def _idf(self) -> NDArray[np.float64]:
        return np.log((1 + self.texts) / (1 + self.frequencies)) + 1

    @cached_property
    def _id(self) -> Callable[[str], int | None]:
        if self.grams is None:
            return _hashed(len(self.frequencies))
        return {gram: number for number, gram in enumerate(self.grams)}.get


def fit(texts: Iterable[str], words: Lengths, characters: Lengths, most: int, fewest: int, hashed: bool) -> NGrams:
    """Return the n-grams of texts, which are read once.

    Args:
        most: n-grams that are kept, those that most texts have; where hashed, the number of hashes.
        fewest: texts that an n-gram must occur in; without meaning where hashed.

    Raises:
        TidemillError: no n-gram occurs in that many texts.
    """
    count = _count_hashed if hashed else _count
    number, frequencies, grams = count(texts, splitter(words, characters), most, fewest)
    return NGrams(words, characters, number, frequencies, grams)


def of_document(document: dict[str, Any]) -> NGrams:
    """Return the n-grams of a `tokenizer.json` that `save` wrote."""
    frequencies = np.array(document["frequencies"], np.int64)
    grams = document["grams"] and tuple(document["grams"])
    return NGrams(document["words"], document["characters"], document["texts"], frequencies, grams)


def splitter(words: Lengths, characters: Lengths) -> Split:
    """Return a function from a text to all its n-grams in small letters; those of characters do not span white space."""
    from sklearn.feature_extraction.text import CountVectorizer

    parts: list[Split] = []
    if words:
        of_words = CountVectorizer(token_pattern=WORD, ngram_range=(words[0], words[1])).build_analyzer()
        parts.append(lambda text: [MARK + gram.replace(" ", MARK) for gram in of_words(text)])
    if characters:
        parts.append(CountVectorizer(analyzer="char_wb", ngram_range=(characters[0], characters[1])).build_analyzer())
    return parts[0] if len(parts) == 1 else lambda text: list(chain.from_iterable(part(text) for part in parts))


def _count(texts: Iterable[str], split: Split, most: int, fewest: int) -> Counted:
    """Count n-grams; where there are too many to hold, forget the rarest, which may come too late to be kept.

    After the lossy counting of Manku and Motwani (2002): a count is too low by at most the number of times that this
    had to be done, and exact where all n-grams could be held.
    """
    counts: Counter[str] = Counter()
    number = forgotten = 0
    for text in texts:
        number += 1
        counts.update(set(split(text)))
        while len(counts) > COUNTED * most:
            forgotten += 1
            counts = Counter({gram: count for gram, count in counts.items() if count > forgotten})
    often = [(-count, gram) for gram, count in counts.items() if count >= fewest]
    if not often:
        raise TidemillError(f"no n-gram occurs in {fewest} training texts: lower tokenize.minimum_count")
    kept = sorted(often)[:most]
    return number, np.array([-count for count, _ in kept], np.int64), tuple(gram for _, gram in kept)


def _count_hashed(texts: Iterable[str], split: Split, buckets: int, fewest: int) -> Counted:
    """Count the texts of each hash."""
    hashed, frequencies, number = _hashed(buckets), np.zeros(buckets, np.int64), 0
    for text in texts:
        number += 1
        frequencies[list({hashed(gram) for gram in split(text)})] += 1
    return number, frequencies, None


def _hashed(buckets: int) -> Callable[[str], int]:
    from sklearn.utils import murmurhash3_32

    return lambda gram: int(murmurhash3_32(gram, seed=0, positive=True)) % buckets
