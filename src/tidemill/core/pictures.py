"""Decoding pictures: the only place that turns bytes, or the text of a request, into a picture."""

import base64
import io
import struct
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from tidemill.core.errors import TidemillError

PIXEL_LIMIT = 64_000_000
"""Larger pictures are refused: a few kilobytes can unpack to gigabytes."""
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
"""Formats that are read. Pillow knows many more, and starts Ghostscript, a whole language, for one of them."""

Encoded = bytes | NDArray[np.uint8]
"""The bytes of a picture file, or an array of grey (H, W) or colour (H, W, C) values."""


def decoded(image: Encoded) -> Image.Image:
    """Decode a picture, all of its content included.

    Raises:
        ValueError: the bytes are not a picture, are damaged, or unpack to more than `PIXEL_LIMIT` pixels.
    """
    if isinstance(image, np.ndarray):
        return Image.fromarray(np.asarray(image, np.uint8))
    picture = _opened(image)
    try:
        picture.load()
    except UNREADABLE as error:
        raise _unreadable(error) from error
    return picture


def size(image: bytes) -> tuple[int, int]:
    """Return width and height of a picture, by its header alone.

    Raises:
        ValueError: as `decoded`, where the header tells.
    """
    return _opened(image).size


def _opened(image: bytes) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(image), formats=FORMATS)
    except UnidentifiedImageError as error:  # its message names an object in memory
        raise ValueError(f"not a readable picture: in none of the formats {', '.join(FORMATS)}") from error
    except UNREADABLE as error:
        raise _unreadable(error) from error
    if picture.width * picture.height > PIXEL_LIMIT:
        raise ValueError(f"a picture of {picture.width}x{picture.height} pixels is too large")
    return picture


UNREADABLE = (OSError, SyntaxError, ValueError, KeyError, IndexError, struct.error, Image.DecompressionBombError)
"""What Pillow raises for damaged bytes, by the format."""


def _unreadable(error: Exception) -> ValueError:
    return ValueError(f"not a readable picture: {' '.join(str(error).split())}")


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
        pixels = np.asarray(value)
    except (ValueError, TypeError, OverflowError):
        pixels = np.empty(0)
    if pixels.ndim not in (2, 3) or not pixels.size or pixels.dtype.kind not in "biuf" or not _are_grey_values(pixels):
        raise TidemillError(
            f"not a picture: {str(value)[:40]!r}; give its bytes, their base64, or values from 0 to 255"
        )
    return pixels.astype(np.uint8, copy=False)


def _are_grey_values(pixels: NDArray[Any]) -> bool:
    return bool(((pixels >= 0) & (pixels <= 255)).all())  # NaN is neither
