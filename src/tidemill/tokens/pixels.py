"""Pixels: pictures as arrays of one shape, and those as the values that a network reads."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tidemill.core import pictures
from tidemill.tokens.preprocessors import Preprocessor

if TYPE_CHECKING:
    import torch
    from PIL import Image


def stacked(
    images: Iterable[pictures.Encoded], shape: Sequence[int], preprocessor: Preprocessor | None = None
) -> NDArray[np.uint8]:
    """Return the pixels (B, H, W, C) of pictures, each scaled to the shape and its edges cut where its sides differ.

    Args:
        images: encoded pictures, or arrays of grey (H, W) or colour (H, W, C) values.
        shape: H, W and C; a C of 1 is grey, 3 is red, green and blue.
        preprocessor: what scales and cuts them instead, to this shape.

    Raises:
        ValueError: a picture cannot be read.
    """
    images = list(images)
    pixels = np.empty((len(images), *shape), np.uint8)
    for place, image in zip(pixels, images, strict=True):
        place[:] = _pixels(image, shape) if preprocessor is None else preprocessor.pixels(_coloured(image))
    return pixels


def scaled(pixels: "torch.Tensor") -> "torch.Tensor":
    """Return pixels (B, H, W, C) from 0 to 255 as values (B, C, H, W) from 0 to 1, float32."""
    return pixels.movedim(-1, 1).float() / 255


def _pixels(image: pictures.Encoded, shape: Sequence[int]) -> NDArray[np.uint8]:
    from PIL import Image, ImageOps

    height, width, channels = shape
    picture = pictures.decoded(image).convert("L") if channels == 1 else _coloured(image)
    if picture.size != (width, height):
        picture = ImageOps.fit(picture, (width, height), Image.Resampling.BILINEAR)
    return np.asarray(picture, np.uint8).reshape(shape)


def _coloured(image: pictures.Encoded) -> "Image.Image":
    return pictures.decoded(image).convert("RGB")
