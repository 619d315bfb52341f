"""What is asked of a classifier of pictures beyond the test set."""

import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from tidemill.data.pictures import decoded
from tidemill.tasks import _label_probes
from tidemill.tasks._behaviour import PictureBehaviour
from tidemill.tasks._probes import Probe, Probing, Rows, with_others

Edit = Callable[[Image.Image], Image.Image]

HUGE = 4000
"""Pixels of the longer side of a huge picture."""
SLIGHT = 0.03
"""Share of its sides that a picture is shifted by."""


def probing(spec: dict[str, Any], own: Sequence[PictureBehaviour]) -> Probing:
    """A slight change keeps the label, another picture laid over it makes it less likely, odd pictures are answered."""
    labels = spec["labels"]
    return Probing(
        [
            _label_probes.same("a slight shift", _redrawn(lambda picture: _shifted(picture, SLIGHT))),
            _label_probes.same("a little darker", _redrawn(lambda picture: _lit(picture, 0.9))),
            _label_probes.same("a little brighter", _redrawn(lambda picture: _lit(picture, 1.1))),
            _label_probes.same("another file format", _redrawn(lambda picture: picture.convert("RGB"), "BMP")),
            _laid_over(labels),
            *(_label_probes.answered(name, _redrawn(edit)) for name, edit in _odd().items()),
            _label_probes.answered("huge", lambda rows: _redrawn(_huge)(rows.head(2))),
            *(_label_probes.own(one, _redrawn(_own_edit(one)), labels) for one in own),
        ]
    )


def _odd() -> dict[str, Edit]:
    return {
        "black": lambda picture: Image.new("L", picture.size, 0),
        "white": lambda picture: Image.new("L", picture.size, 255),
        "one pixel": lambda picture: picture.resize((1, 1)),
        "half transparent": lambda picture: _faded(picture.convert("RGBA")),
    }


def _own_edit(params: PictureBehaviour) -> Edit:
    def edit(picture: Image.Image) -> Image.Image:
        picture = _lit(_shifted(picture, params.shift), params.brightness)
        picture = ImageOps.mirror(picture) if params.mirror else picture
        picture = picture.rotate(params.rotation, Image.Resampling.BILINEAR) if params.rotation else picture
        return _covered(picture, params.cover)

    return edit


def _redrawn(edit: Edit, format_: str = "PNG") -> Callable[[Rows], Rows]:
    return lambda rows: rows.assign(image=[_encoded(edit(_plain(content)), format_) for content in rows["image"]])


def _plain(content: bytes) -> Image.Image:
    """The picture, grey or coloured, with 8 bits a value."""
    picture = decoded(content)
    return picture if picture.mode in ("L", "RGB") else picture.convert("RGB")


def _encoded(picture: Image.Image, format_: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format_)
    return buffer.getvalue()


def _shifted(picture: Image.Image, share: float) -> Image.Image:
    """By whole pixels, at least one, down and to the right; back where the share is below 0."""
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


def _faded(picture: Image.Image) -> Image.Image:
    picture.putalpha(128)
    return picture


def _huge(picture: Image.Image) -> Image.Image:
    factor = HUGE / max(picture.size)
    return picture.resize((max(1, round(picture.width * factor)), max(1, round(picture.height * factor))))


def _laid_over(labels: Sequence[str]) -> Probe:
    expects = "its label less likely"
    return _label_probes.moved(
        "half a picture of another class",
        expects,
        _blended,
        labels,
        lambda rows: rows["label"].to_numpy(),
        upwards=False,
    )


def _blended(rows: Rows) -> Rows:
    """Each picture, half see-through, over one of another class."""
    pairs = with_others(rows, lambda row, other: row.label != other.label)
    mixed = [_encoded(_mixed(_plain(row.image), _plain(other.image))) for row, other in pairs]
    return rows.loc[[row.Index for row, _ in pairs]].assign(image=mixed)


def _mixed(one: Image.Image, other: Image.Image) -> Image.Image:
    return Image.blend(one.convert("RGB"), other.convert("RGB").resize(one.size), 0.5)
