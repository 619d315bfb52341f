"""Normalising text, and finding its near copies."""

import re
import unicodedata
from typing import Any

import pandas as pd

CONTROL = re.compile(r"[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u200b\u2060\ufeff\ufffe\uffff]")
SPACE = re.compile(r"[^\S\n]+")
SHINGLE = 3
"""Characters in a shingle: words are not set apart in Chinese."""
PERMUTATIONS = 64


def normalised(text: str) -> str:
    """Unicode NFKC, without control characters, white space in one form; lines stay apart."""
    text = unicodedata.normalize("NFKC", text.replace("\r\n", "\n").replace("\r", "\n"))
    lines = (SPACE.sub(" ", CONTROL.sub("", line)).strip() for line in text.split("\n"))
    return "\n".join(lines).strip()


def tidied(text: str) -> str:
    """Text that is to be written, not only read: Unicode NFC, one kind of line end, no control characters.

    Unlike `normalised` it keeps full-width signs and all white space.
    """
    return CONTROL.sub("", unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")))


def near_keys(texts: "pd.Series[str]", similarity: float) -> "pd.Series[str]":
    """A key that texts share whose sets of shingles are at least that similar (Jaccard), directly or by a chain.

    Candidates come from MinHash and locality-sensitive hashing (Broder 1997, as in `datasketch`); each is then
    compared exactly, so no text is taken for a copy by chance.
    """
    from datasketch import MinHash, MinHashLSH

    shingles = {row: _shingles(text) for row, text in texts.items()}
    index, groups = MinHashLSH(threshold=similarity, num_perm=PERMUTATIONS), dict[Any, Any]()
    for row, own in shingles.items():
        sketch = MinHash(num_perm=PERMUTATIONS, seed=1)
        sketch.update_batch([shingle.encode() for shingle in own])
        near = [other for other in index.query(sketch) if _jaccard(own, shingles[other]) >= similarity]
        groups[row] = min((groups[other] for other in near), default=row)
        index.insert(row, sketch)
    return pd.Series(groups, index=texts.index).astype(str)


def _shingles(text: str) -> frozenset[str]:
    compact = "".join(character for character in text.casefold() if character.isalnum())
    return frozenset(compact[start : start + SHINGLE] for start in range(max(1, len(compact) - SHINGLE + 1)))


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other)
