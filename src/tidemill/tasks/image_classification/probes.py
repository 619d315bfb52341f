"""Probes of a classifier of pictures."""

import io
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from tidemill.core.pictures import decoded
from tidemill.core.spec import Spec
from tidemill.tasks.common.probes import labels as common
from tidemill.tasks.common.probes.params import PictureProbeParams
from tidemill.tasks.common.probes.probe import Change, Probe, ProbeSet, Rows, paired
from tidemill.tasks.image_classification.scoring import is_same

Params = PictureProbeParams
Edit = Callable[[Image.Image], Image.Image]

HUGE = 4000
"""Pixels of the longer side of a huge picture."""
SLIGHT = 0.03
"""Share of its sides that a picture is slightly shifted by."""


def probes(spec: Spec, own: Sequence[PictureProbeParams]) -> ProbeSet:
    """Return the probes of a classifier of pictures.

    A slight change keeps the label, another picture blended over one makes its label less likely, and odd pictures still
    get a prediction.
    """
    labels = spec["labels"]
    return ProbeSet(
        [
            common.same("a slight shift", _redrawn(lambda picture: _shifted(picture, SLIGHT)), is_same),
            common.same("a little darker", _redrawn(lambda picture: _lit(picture, 0.9)), is_same),
            common.same("a little brighter", _redrawn(lambda picture: _lit(picture, 1.1)), is_same),
            common.same("another file format", _redrawn(lambda picture: picture.convert("RGB"), "BMP"), is_same),
            _half_of_another(labels),
            *(common.valid(name, _redrawn(edit)) for name, edit in _odd_pictures().items()),
            common.valid("huge", lambda rows: _redrawn(_huge)(rows.head(2))),
            *(common.of_params(one, _redrawn(_edit_of(one)), labels, is_same) for one in own),
        ]
    )


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
    return lambda rows: rows.assign(image=[_encoded(edit(_plain(content)), file_format) for content in rows["image"]])


def _plain(content: bytes) -> Image.Image:
    """Decode a picture, grey or coloured, to 8 bits a value."""
    picture = decoded(content)
    return picture if picture.mode in ("L", "RGB") else picture.convert("RGB")


def _encoded(picture: Image.Image, file_format: str = "PNG") -> bytes:
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


def _half_of_another(labels: Sequence[str]) -> Probe:
    name, expects = "half a picture of another class", "its label less likely"
    return common.moved(name, expects, _blended, labels, lambda rows: rows["label"].to_numpy(), upwards=False)


def _blended(rows: Rows) -> Rows:
    """Blend each picture half and half with one of another class."""
    pairs = paired(rows, lambda row, other: row.label != other.label)
    mixed = [_encoded(_mixed(_plain(row.image), _plain(other.image))) for row, other in pairs]
    return rows.loc[[row.Index for row, _ in pairs]].assign(image=mixed)


def _mixed(one: Image.Image, other: Image.Image) -> Image.Image:
    return Image.blend(one.convert("RGB"), other.convert("RGB").resize(one.size), 0.5)
