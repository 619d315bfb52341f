"""Near copies of pictures: what the similarity means, that no pair is missed, and that each picture is decoded once."""

import io
import math
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tidemill.rows import near_copies, pictures

Hashes = np.ndarray
SIMILARITIES = [1.0, 0.999, 0.98, 0.95, 0.9, 0.8, 0.5]


def picture(seed: int, flipped: int = 0, kind: str = "PNG", mode: str = "L") -> bytes:
    """Encode a picture of as many places as a difference hash has, with the last bits of that hash flipped."""
    bits = np.random.default_rng(seed).integers(0, 2, 256).astype(bool)
    bits[256 - flipped :] ^= True
    steps = np.where(bits.reshape(16, 16), 5, -5)
    values = np.hstack([np.full((16, 1), 128), 128 + np.cumsum(steps, axis=1)])
    stream = io.BytesIO()
    Image.fromarray(values.astype(np.uint8)).convert(mode).save(stream, kind)
    return stream.getvalue()


def synthetic(rows: int, skewed: bool) -> Hashes:
    """Random hashes (N, 32), every tenth of them near another; skewed: most bits are nearly the same in all."""
    generator = np.random.default_rng(rows)
    chances = generator.beta(0.3, 0.3, 256) if skewed else np.full(256, 0.5)
    bits = generator.random((rows, 256)) < chances
    for row in range(0, rows, 10):
        bits[row] = bits[generator.integers(rows)]
        bits[row, generator.choice(256, generator.integers(60), replace=False)] ^= True
    return np.unique(np.packbits(bits, axis=1), axis=0)


def compared_in_pairs(hashes: Hashes, similarity: float) -> list[int]:
    """The groups, by comparing all pairs."""
    bits, groups = np.unpackbits(hashes, axis=1), list(range(len(hashes)))
    most = math.floor(256 * (1 - similarity) + 1e-9)
    for one, other in combinations(range(len(hashes)), 2):
        if np.count_nonzero(bits[one] != bits[other]) <= most and groups[one] != groups[other]:
            first, last = sorted((groups[one], groups[other]))
            groups = [first if group == last else group for group in groups]
    return groups


@pytest.mark.parametrize("skewed", [False, True])
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_no_pair_of_near_copies_is_missed_and_none_is_made_up(similarity: float, skewed: bool) -> None:
    hashes = synthetic(200, skewed)
    assert near_copies.groups(hashes, similarity).tolist() == compared_in_pairs(hashes, similarity)


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_few_hashes(rows: int) -> None:
    hashes = synthetic(200, False)[:rows]
    assert near_copies.groups(hashes, 0.9).tolist() == list(range(rows))


def test_opposite_hashes_are_not_near_copies() -> None:
    hashes = np.array([[0] * 32, [255] * 32], np.uint8)
    assert near_copies.groups(hashes, 0.5).tolist() == [0, 1]


def test_the_similarity_is_the_share_of_bits_that_agree() -> None:
    images = pd.Series([picture(1), picture(1, flipped=13), picture(1, flipped=26), picture(2)], [7, 3, 5, 4])
    assert near_copies.pictures(images, 1.0).nunique() == 4
    assert near_copies.pictures(images, 1 - 12 / 256).nunique() == 4
    chain = near_copies.pictures(images, 1 - 13 / 256)
    assert chain[7] == chain[3] == chain[5] != chain[4], "the first and the last are joined by the one between"


def test_equal_hashes_are_near_copies_at_any_similarity() -> None:
    images = pd.Series([picture(1), picture(2), picture(1, kind="BMP"), picture(1, mode="RGB")])
    for similarity in (1.0, 0.98):
        names = near_copies.pictures(images, similarity)
        assert names[0] == names[2] == names[3] != names[1]


def test_no_pictures() -> None:
    assert near_copies.pictures(pd.Series([], dtype=object), 0.9).empty


def test_a_picture_is_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures.measured.cache_clear()
    decode, calls = pictures.decoded, []
    monkeypatch.setattr(pictures, "decoded", lambda image: calls.append(image) or decode(image))
    rows = pd.DataFrame({"image": [picture(seed) for seed in range(5)], "reason": None})
    near_copies.pictures(pictures.described(rows)["image"], 0.9)
    assert len(calls) == 5
