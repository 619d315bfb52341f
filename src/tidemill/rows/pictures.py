"""Measuring pictures: size, mode, range of values, and the hashes that find copies. Each is decoded once."""

from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from tidemill.core.pictures import decoded

DETAIL = 16
"""Rows of the small grid of grey values from which a difference hash is made; it has one column more."""
REMEMBERED = 2**17
"""Pictures whose measurements are kept in memory."""


class Measured(NamedTuple):
    """What one decoding of a picture yields."""

    width: int
    height: int
    mode: str
    minimum: int
    """The lowest of all values."""
    maximum: int
    pixels: str
    """The sha256 of mode, shape and values, in hexadecimal digits."""
    grid: bytes
    """Grey values of the picture scaled to (`DETAIL`, `DETAIL` + 1), from which its difference hash is made."""
    reason: str | None
    """Why the picture cannot be read, if so."""


def described(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with `width`, `height`, `mode`, `minimum`, `maximum` and `pixels` of their `image`.

    A picture that cannot be read gets a `reason` instead.
    """
    found = pd.DataFrame([measured(image) for image in rows["image"]], index=rows.index, columns=Measured._fields)
    reason = rows["reason"].where(rows["reason"].notna(), found["reason"])
    own = [name for name in ("reason", *Measured._fields) if name in rows]
    return rows.drop(columns=own).join(found.drop(columns=["grid", "reason"])).assign(reason=reason)


@lru_cache(REMEMBERED)
def measured(image: bytes) -> Measured:
    """Measure a picture; the second call for the same bytes decodes nothing."""
    try:
        picture = decoded(image)
    except ValueError as error:
        return Measured(0, 0, "", 0, 0, "", b"", str(error))
    values = np.asarray(picture)
    pixels = sha256(f"{picture.mode}{values.shape}".encode() + values.tobytes()).hexdigest()
    lowest, highest = int(values.min()), int(values.max())
    return Measured(*picture.size, picture.mode, lowest, highest, pixels, _grid(picture), None)


def difference_hashes(images: "pd.Series[bytes]") -> NDArray[np.uint8]:
    """Return the difference hash of each readable picture, (N, 32): is each of 16x16 places brighter than the one before?

    Source: Krawetz, "Kind of Like That" (2013), at four times its detail.
    """
    grids = b"".join(measured(image).grid for image in images)
    values = np.frombuffer(grids, np.uint8).reshape(len(images), DETAIL, DETAIL + 1)
    return np.packbits((values[:, :, 1:] > values[:, :, :-1]).reshape(-1, DETAIL * DETAIL), axis=1)


def _grid(picture: Image.Image) -> bytes:
    grey = picture if picture.mode == "L" else picture.convert("L")
    return grey.resize((DETAIL + 1, DETAIL), Image.Resampling.LANCZOS).tobytes()
