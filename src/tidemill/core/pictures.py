"""Decoding pictures: the only place that turns bytes, or the text of a request, into a picture."""

import base64
import io
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from tidemill.core.errors import TidemillError

PIXEL_LIMIT = 64_000_000
"""Larger pictures are refused: a few kilobytes can unpack to gigabytes."""

Encoded = bytes | NDArray[np.uint8]
"""The bytes of a picture file, or an array of grey (H, W) or colour (H, W, C) values."""


def decoded(image: Encoded) -> Image.Image:
    """Decode a picture, all of its content included.

    Raises:
        ValueError: the bytes are not a picture, are damaged, or unpack to more than `PIXEL_LIMIT` pixels.
    """
    if isinstance(image, np.ndarray):
        return Image.fromarray(np.asarray(image, np.uint8))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(image))
        if picture.width * picture.height > PIXEL_LIMIT:
            raise ValueError(f"a picture of {picture.width}x{picture.height} pixels is too large")
        picture.load()
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"not a readable picture: {' '.join(str(error).split())}") from error
    return picture


def from_input(value: Any) -> Encoded:
    """Return the picture of a request: bytes as they are, base64 text as bytes, nested lists of values as an array.

    Raises:
        TidemillError: a text is not base64, or the value is no picture at all.
    """
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        try:
            return base64.b64decode(value, validate=True)
        except ValueError as error:
            raise TidemillError(f"the text {value[:20]!r} is not the base64 of a picture: {error}") from error
    try:
        pixels: NDArray[np.uint8] = np.asarray(value, np.uint8)
    except (ValueError, TypeError, OverflowError):
        pixels = np.empty(0, np.uint8)
    if pixels.ndim not in (2, 3):
        raise TidemillError(
            f"not a picture: {str(value)[:40]!r}; give its bytes, their base64, or values from 0 to 255"
        )
    return pixels
