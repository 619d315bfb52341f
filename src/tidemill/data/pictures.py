"""Decoding pictures, and finding their near copies."""

import io
import warnings
from hashlib import sha256

import numpy as np
import pandas as pd
from PIL import Image, UnidentifiedImageError

PIXEL_LIMIT = 64_000_000
"""Larger pictures are refused: a few kilobytes can unpack to gigabytes."""
DETAIL = 16
"""Side of the grid whose brightness differences make a picture's near key."""


def decoded(content: bytes) -> Image.Image:
    """The picture, with its whole content read.

    Raises:
        ValueError: the bytes are not a picture, are damaged, or unpack to more than `PIXEL_LIMIT` pixels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(content))
        if picture.width * picture.height > PIXEL_LIMIT:
            raise ValueError(f"a picture of {picture.width}x{picture.height} pixels is too large")
        picture.load()
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"not a readable picture: {' '.join(str(error).split())}") from error
    return picture


def described(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with `width`, `height`, `mode`, `minimum`, `maximum` (of all values) and `pixels` (their sha256).

    A picture that cannot be read gets a `reason` instead.
    """
    facts = pd.DataFrame([_facts(content) for content in rows["image"]], index=rows.index)
    reason = rows["reason"].where(rows["reason"].notna(), facts.pop("reason"))
    return rows.drop(columns="reason").join(facts).assign(reason=reason)


def near_keys(images: "pd.Series[bytes]") -> "pd.Series[str]":
    """A key that pictures share which look alike: whether each of 16x16 places is brighter than the next.

    Source: Krawetz, "Kind of Like That" (2013), the difference hash, at four times its detail.
    """
    return images.map(_difference_hash)


def _facts(content: bytes) -> dict[str, object]:
    try:
        picture = decoded(content)
    except ValueError as error:
        return {"width": 0, "height": 0, "mode": "", "minimum": 0, "maximum": 0, "pixels": "", "reason": str(error)}
    values = np.asarray(picture)
    return {
        "width": picture.width,
        "height": picture.height,
        "mode": picture.mode,
        "minimum": int(values.min()),
        "maximum": int(values.max()),
        "pixels": sha256(f"{picture.mode}{values.shape}".encode() + values.tobytes()).hexdigest(),
        "reason": None,
    }


def _difference_hash(content: bytes) -> str:
    small = decoded(content).convert("L").resize((DETAIL + 1, DETAIL), Image.Resampling.LANCZOS)
    values = np.asarray(small)
    return np.packbits(values[:, 1:] > values[:, :-1]).tobytes().hex()
