"""Near copies of texts and of pictures: rows that share a group name are copies of each other."""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

SHINGLE = 3
"""Characters in a shingle: Chinese does not separate words."""
PERMUTATIONS = 64
MOST_SKETCHED = 0.9
"""Similarity up to which the search for candidates can be told what to look for: above, it would have a single band."""
PAIRS = 2**16
"""Pairs of hashes compared at a time: what bounds the memory."""


Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]


def texts(texts: "pd.Series[str]", similarity: float) -> "pd.Series[str]":
    """Return a group name for each text; texts share one if their shingles are at least that similar (Jaccard).

    A chain of similar texts is one group. Candidates come from MinHash and locality-sensitive hashing (Broder 1997, as in
    `datasketch`); each is then compared exactly, so no text is taken for a copy by chance.
    """
    from datasketch import MinHash, MinHashLSH

    shingles = {row: _shingles(text) for row, text in texts.items()}
    index, groups = MinHashLSH(threshold=min(similarity, MOST_SKETCHED), num_perm=PERMUTATIONS), dict[Any, Any]()
    for row, own in shingles.items():
        sketch = MinHash(num_perm=PERMUTATIONS, seed=1)
        sketch.update_batch([shingle.encode() for shingle in own])
        near = [other for other in index.query(sketch) if _jaccard(own, shingles[other]) >= similarity]
        groups[row] = min((groups[other] for other in near), default=row)
        index.insert(row, sketch)
    return pd.Series(groups, index=texts.index).astype(str)


def pictures(images: "pd.Series[bytes]", similarity: float) -> "pd.Series[str]":
    """Return a group name for each picture; pictures share one if that share of the bits of their difference hashes agree.

    A chain of similar pictures is one group. A similarity of 1.0 asks for equal hashes.

    Args:
        images: encoded pictures, all of them readable.
    """
    from tidemill.rows.pictures import difference_hashes

    hashes = difference_hashes(images)
    names = np.array([row.tobytes().hex() for row in hashes], object)
    which, different = pd.factorize(names)  # in the order of first appearance
    first = groups(hashes[~pd.Series(names).duplicated()], similarity)
    return pd.Series(different[first][which], index=images.index, dtype="str")


def groups(hashes: NDArray[np.uint8], similarity: float) -> NDArray[np.int64]:
    """Return for each hash (N, bytes), all different, the position of the first one of its group.

    Of hashes that differ in at most d bits, cut into bands, one band differs in at most one bit if there are more than
    d / 2 bands (the pigeonhole principle). Only hashes with such a band are compared, over all their bits.
    """
    bits = np.unpackbits(hashes, axis=1)
    most = math.floor(bits.shape[1] * (1 - similarity) + 1e-9)
    group = np.arange(len(hashes))
    if most == 0 or len(hashes) < 2:
        return group
    words = np.ascontiguousarray(hashes).view(np.uint64).T
    for band in _bands(bits, max(most // 2 + 1, math.ceil(bits.shape[1] / 64))):
        order = np.argsort(band, kind="stable")
        ordered = words[:, order]
        for one, other in _candidates(band[order]):
            differing = sum((np.bitwise_count(word[one] ^ word[other]) for word in ordered), np.uint16(0))
            near = differing <= most
            group = _joined(group, order[one[near]], order[other[near]])
    return group


def _bands(bits: NDArray[np.uint8], count: int) -> Iterator[NDArray[np.uint64]]:
    """Divide hashes (N, bits) into bands of at most 64 bits, each as selective as the others, and yield each as (N,).

    A bit is the more selective, the nearer to one half of the hashes have it set.
    """
    selective = np.argsort(np.abs(bits.mean(axis=0) - 0.5), kind="stable")
    for start in range(count):
        chosen = bits[:, selective[start::count]]
        yield chosen @ (np.uint64(1) << np.arange(chosen.shape[1], dtype=np.uint64))


def _candidates(band: NDArray[np.uint64]) -> Iterator[Pairs]:
    """Yield the pairs of places whose values in a sorted band (N,) differ in at most one bit."""
    places = np.arange(len(band))
    yield from _pairs(places + 1, np.searchsorted(band, band, side="right"))
    for bit in range(int(band[-1]).bit_length()):
        higher = band | np.uint64(1 << bit)
        starts, ends = np.searchsorted(band, higher, side="left"), np.searchsorted(band, higher, side="right")
        yield from _pairs(starts, np.where(higher == band, starts, ends))


def _pairs(starts: NDArray[np.int64], ends: NDArray[np.int64]) -> Iterator[Pairs]:
    """Yield each place with all places from its start to its end, about `PAIRS` at a time."""
    counts = ends - starts
    total = np.cumsum(counts)
    cuts = np.unique([0, *np.searchsorted(total, np.arange(PAIRS, total[-1], PAIRS)), len(counts)])
    for first, last in pairwise(cuts.tolist()):
        here = counts[first:last]
        if here.any():
            offset = np.repeat(starts[first:last] - np.cumsum(here) + here, here)
            yield np.repeat(np.arange(first, last), here), offset + np.arange(here.sum())


def _joined(group: NDArray[np.int64], one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the groups with those of each pair made one, named by its first member."""
    one, other = group[one], group[other]
    apart = one != other
    if not apart.any():
        return group
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    names, edges = np.unique([one[apart], other[apart]], return_inverse=True)
    graph = coo_array((np.ones(edges.shape[1], np.int8), tuple(edges)), (len(names), len(names)))
    _, component = connected_components(graph, directed=False)
    first = np.full(len(names), len(group))
    np.minimum.at(first, component, names)
    renamed = np.arange(len(group))
    renamed[names] = first[component]
    return renamed[group]


def _shingles(text: str) -> frozenset[str]:
    compact = "".join(character for character in text.casefold() if character.isalnum())
    return frozenset(compact[start : start + SHINGLE] for start in range(max(1, len(compact) - SHINGLE + 1)))


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other)
