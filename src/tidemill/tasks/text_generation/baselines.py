"""Baselines: a file compressor, and how often a byte followed the few before it; of a conversation, in its responses."""

import math
import zlib

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tidemill.core import conversations
from tidemill.core.spec import Spec

ORDER = 6
"""Bytes in an n-gram; up to 8 fit in one number."""
LARGEST = 2**24
"""Bytes of training text that are counted: memory and time grow with them, the metrics hardly."""
WINDOW = 2**15
"""Bytes of training text that zlib can refer to."""


def baselines(train: pd.DataFrame, test: pd.DataFrame, spec: Spec) -> dict[str, pd.DataFrame]:
    """Return the likelihoods of `compressor` and `n-gram`."""
    return {"compressor": compressor(train, test), "n-gram": ngrams(train, test)}


def compressor(train: pd.DataFrame, test: pd.DataFrame) -> pd.DataFrame:
    """Compress each text by zlib, which is given the end of the training text as a dictionary.

    A response takes the bits by which the conversation up to its end is longer than the one before it.
    """
    known = _joined(train)[-WINDOW:]
    bits = [8 * _compressed_size(text, known) for text in test["text"]]
    return _predictions(test, np.array(bits) * math.log(2))


def ngrams(train: pd.DataFrame, test: pd.DataFrame) -> pd.DataFrame:
    """Predict each byte by the five before it, longer contexts mixed with shorter ones by Witten and Bell's weights.

    Witten and Bell, The Zero-Frequency Problem, 1991: of a context seen n times with t different bytes after it,
    a share t / (n + t) goes to the next shorter context; the shortest falls back on 1 / 256.
    """
    seen, codes = _codes(_joined(train)), _codes(b"".join(map(_bytes, test["text"])))
    chances = np.full(len(codes), 1 / 256)
    for order in range(1, ORDER + 1):
        chances = _mixed(seen, codes, order, chances)
    surprise = -np.log(chances) * np.concatenate([_counted(text) for text in test["text"]])
    starts = np.cumsum([0, *(len(_bytes(text)) for text in test["text"])])[:-1]
    return _predictions(test, np.add.reduceat(surprise, starts))


def _mixed(
    seen: NDArray[np.uint64], codes: NDArray[np.uint64], order: int, shorter: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the probability of each byte by n-grams of this order and the probabilities by shorter ones."""
    grams, counts = np.unique(_last(seen, order), return_counts=True)
    contexts, first, kinds = np.unique(grams >> np.uint64(8), return_index=True, return_counts=True)
    totals = np.add.reduceat(counts, first)
    gram = _last(codes, order)
    own = _looked_up(grams, counts, gram)
    total, kind = (_looked_up(contexts, values, gram >> np.uint64(8)) for values in (totals, kinds))
    return np.where(total > 0, (own + kind * shorter) / np.maximum(total + kind, 1), shorter)


def _looked_up(keys: NDArray[np.uint64], values: NDArray[np.int64], wanted: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return the value of each wanted key, 0 where there is none."""
    place = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
    return np.where(keys[place] == wanted, values[place], 0)


def _codes(text: bytes) -> NDArray[np.uint64]:
    """Return, for each byte, the eight bytes that end there as one number; zeros stand before the text."""
    codes = np.zeros(len(text), np.uint64)
    values = np.frombuffer(text, np.uint8).astype(np.uint64)
    for back in range(8):
        codes[back:] |= values[: len(values) - back] << np.uint64(8 * back)
    return codes


def _last(codes: NDArray[np.uint64], count: int) -> NDArray[np.uint64]:
    """Return the last `count` bytes of each code."""
    return codes & np.uint64(2 ** (8 * count) - 1)


def _joined(rows: pd.DataFrame) -> bytes:
    """Join the texts, a zero byte after each part of them; no text holds one."""
    return b"".join(map(_bytes, rows["text"]))[-LARGEST:]


def _bytes(text: str) -> bytes:
    return b"".join(content.encode() + b"\0" for content, _ in conversations.parts(text))


def _counted(text: str) -> NDArray[np.bool_]:
    """Return which of the bytes are to be predicted; the zero bytes are not."""
    parts = [np.append(np.full(len(content.encode()), said), False) for content, said in conversations.parts(text)]
    return np.concatenate(parts)


def _compressed_size(text: str, known: bytes) -> int:
    """Return the bytes that the parts to be predicted add to those before them."""
    total, before = 0, b""
    for content, said in conversations.parts(text):
        whole = before + content.encode()
        if said:
            total += len(_compressed(whole, known)) - (len(_compressed(before, known)) if before else 0)
        before = whole + b"\0"
    return total


def _compressed(content: bytes, known: bytes) -> bytes:
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS, zdict=known)
    return packer.compress(content) + packer.flush()


def _predictions(test: pd.DataFrame, nll: NDArray[np.float64]) -> pd.DataFrame:
    """Return the columns that a model's predictions have; tokens, and with them perplexity, are not defined."""
    sizes = [int(_counted(text).sum()) for text in test["text"]]
    return pd.DataFrame({"id": test["id"], "label": test["label"], "tokens": np.nan, "bytes": sizes, "nll": nll})
