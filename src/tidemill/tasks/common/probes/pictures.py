"""Changes of pictures: slight ones, pictures at the edge, and the edits that params ask for."""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from tidemill.core.pictures import decoded
from tidemill.tasks.common.probes.params import PictureProbeParams
from tidemill.tasks.common.probes.probe import Change

Edit = Callable[[Image.Image], Image.Image]

HUGE = 4000
"""Pixels of the longer side of a huge picture."""
SLIGHT = 0.03
"""Share of its sides that a picture is slightly shifted by."""


def slight_changes() -> dict[str, Change]:
    """Return changes that a person hardly sees, by name."""
    return {
        "a slight shift": _redrawn(lambda picture: _shifted(picture, SLIGHT)),
        "a little darker": _redrawn(lambda picture: _lit(picture, 0.9)),
        "a little brighter": _redrawn(lambda picture: _lit(picture, 1.1)),
        "another file format": _redrawn(lambda picture: picture.convert("RGB"), "BMP"),
    }


def odd_changes() -> dict[str, Change]:
    """Return changes that give pictures at the edge of what a model can be given, by name."""
    odd = {name: _redrawn(edit) for name, edit in _odd_pictures().items()}
    return odd | {"huge": lambda rows: _redrawn(_huge)(rows.head(2))}


def edited(params: PictureProbeParams) -> Change:
    """Return the change that the params ask for."""
    return _redrawn(_edit_of(params))


def _odd_pictures() -> dict[str, Edit]:
    return {
        "black": lambda picture: Image.new("L", picture.size, 0),
        "white": lambda picture: Image.new("L", picture.size, 255),
        "one pixel": lambda picture: picture.resize((1, 1)),
        "half transparent": lambda picture: _half_transparent(picture.convert("RGBA")),
    }


def _edit_of(params: PictureProbeParams) -> Edit:
    def edit(picture: Image.Image) -> Image.Image:
        picture = _lit(_shifted(picture, params.shift), params.brightness)
        picture = ImageOps.mirror(picture) if params.mirror else picture
        picture = picture.rotate(params.rotation, Image.Resampling.BILINEAR) if params.rotation else picture
        return _covered(picture, params.cover)

    return edit


def _redrawn(edit: Edit, file_format: str = "PNG") -> Change:
    return lambda rows: rows.assign(image=[encoded(edit(plain(content)), file_format) for content in rows["image"]])


def plain(content: bytes) -> Image.Image:
    """Decode a picture, grey or coloured, to 8 bits a value."""
    picture = decoded(content)
    return picture if picture.mode in ("L", "RGB") else picture.convert("RGB")


def encoded(picture: Image.Image, file_format: str = "PNG") -> bytes:
    """Return a picture as the bytes of a file."""
    buffer = io.BytesIO()
    picture.save(buffer, file_format)
    return buffer.getvalue()


def _shifted(picture: Image.Image, share: float) -> Image.Image:
    """Shift by whole pixels, at least one: down and to the right, or up and to the left where the share is below 0."""
    if share == 0:
        return picture
    values = np.asarray(picture)
    for axis, size in enumerate(values.shape[:2]):
        steps = int(np.sign(share)) * max(1, round(abs(share) * size))
        values = values.take((np.arange(size) - steps).clip(0, size - 1), axis)
    return Image.fromarray(values)


def _lit(picture: Image.Image, factor: float) -> Image.Image:
    return ImageEnhance.Brightness(picture).enhance(factor)


def _covered(picture: Image.Image, share: float) -> Image.Image:
    values = np.array(picture)
    values[len(values) - round(share * len(values)) :] = 0
    return Image.fromarray(values)


def _half_transparent(picture: Image.Image) -> Image.Image:
    picture.putalpha(128)
    return picture


def _huge(picture: Image.Image) -> Image.Image:
    factor = HUGE / max(picture.size)
    return picture.resize((max(1, round(picture.width * factor)), max(1, round(picture.height * factor))))
