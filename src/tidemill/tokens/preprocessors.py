"""Preparing pictures as a published checkpoint does: its `preprocessor_config.json`, run by the library that it is of.

A picture is resized and cropped when it is packed, and stays bytes; its values are normalised on the device, by a mean
and a deviation that are measured here, so that they hold for every preprocessor that only scales values.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tidemill.core.errors import TidemillError
from tidemill.core.pinned import PinnedFile, pinned

FILE = "preprocessor_config.json"
OF_VALUES = ("do_rescale", "do_normalize", "include_top")
"""What changes values, and not the size."""
PROBES = ((97, 61), (61, 97))
"""Width and height of pictures by which a preprocessor is measured."""
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Preprocessor:
    """A preprocessor of the library, which needs neither its checkpoint nor its model."""

    theirs: Any

    def pixels(self, picture: Image.Image) -> NDArray[np.uint8]:
        """Return the pixels (H, W, 3) of a picture in its own size, resized and cropped."""
        unchanged = {name: False for name in OF_VALUES if name in self.theirs.to_dict()}
        found: NDArray[np.uint8] = self._called(picture, **unchanged)
        return found

    def shape(self) -> list[int]:
        """Return height, width and channels of all prepared pictures.

        Raises:
            TidemillError: they differ from picture to picture, or their values are no bytes.
        """
        found = [self.pixels(Image.new("RGB", size)) for size in PROBES]
        if found[0].shape != found[1].shape or found[0].dtype != np.uint8:
            raise TidemillError(f"{FILE}: pictures of one size and of bytes are needed, and it gives others")
        return list(found[0].shape)

    def normalisation(self) -> tuple[list[float], list[float]]:
        """Return mean and deviation of each channel, for values from 0 to 1.

        Raises:
            TidemillError: it does more to values than to scale them.
        """
        black, grey, white = (self._of_colour(value) for value in (0, 51, 255))
        if np.abs(black + (white - black) / 5 - grey).max() > TOLERANCE:
            raise TidemillError(f"{FILE}: it does more to the values of a picture than to scale them")
        return (-black / (white - black)).tolist(), (1 / (white - black)).tolist()

    def _of_colour(self, value: int) -> NDArray[np.float64]:
        values = self._called(Image.new("RGB", PROBES[0], (value,) * 3))
        middle: NDArray[np.float64] = values[values.shape[0] // 2, values.shape[1] // 2].astype(np.float64)
        return middle

    def _called(self, picture: Image.Image, **options: bool) -> Any:
        return np.moveaxis(self.theirs(picture, return_tensors="np", **options)["pixel_values"][0], 0, -1)


def read(file: PinnedFile) -> dict[str, Any]:
    """Return the content of a `preprocessor_config.json` in a folder or of a hub id.

    Raises:
        TidemillError: it is missing, is not the pinned one, is damaged, or needs code of its own.
    """
    path = pinned(file, (FILE,))
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise TidemillError(f"{path} is not JSON: {error}") from error
    if "auto_map" in document:
        raise TidemillError(f"{path} needs code of its own (auto_map), which is never run")
    return document


def of(document: dict[str, Any]) -> Preprocessor:
    """Return the preprocessor of a document.

    Raises:
        TidemillError: the library knows none of this kind.
    """
    return _of_text(json.dumps(document, sort_keys=True))


@lru_cache(maxsize=4)
def _of_text(document: str) -> Preprocessor:
    from transformers import AutoImageProcessor

    with TemporaryDirectory() as folder:
        (Path(folder) / FILE).write_text(document, encoding="utf-8")
        try:
            return Preprocessor(AutoImageProcessor.from_pretrained(folder, backend="pil", trust_remote_code=False))
        except (ValueError, TypeError, OSError, ImportError) as error:
            raise TidemillError(f"{FILE} is of no known preprocessor: {' '.join(str(error).split())}") from error
