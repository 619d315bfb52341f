"""Pictures and labels in IDX files, the format of MNIST.

Layout: two zero bytes, a type byte, the number of dimensions, each size as a big-endian 32-bit integer, the values.
Source: "The IDX file format", on the page of the MNIST database by LeCun, Cortes and Burges.
"""

import io
import math
import struct
from pathlib import Path

import numpy as np
import pandas as pd

from tidemill.core.errors import TidemillError
from tidemill.core.params import Params
from tidemill.formats.common import files

UNSIGNED_BYTE = 8


class Options(Params):
    """Which files hold which split: `{train: train, test: t10k}` reads `train-images…` and `t10k-images…`."""

    splits: dict[str, str]
    """The prefix of a split's files, by the name of the split."""


bring = None
"""The files cannot be downloaded."""


def read(path: Path, options: Options) -> pd.DataFrame:
    """Read the files. Columns: `image` (PNG bytes), `label` (str), `split`, `row`."""
    tables = [_read_split(path, split, prefix) for split, prefix in options.splits.items()]
    return pd.concat(tables, ignore_index=True)


def _read_split(path: Path, split: str, prefix: str) -> pd.DataFrame:
    (images_file,) = files.matching(path, f"{prefix}-images*")[:1]
    (labels_file,) = files.matching(path, f"{prefix}-labels*")[:1]
    images, labels = _read_idx(images_file, 3), _read_idx(labels_file, 1)
    if len(images) != len(labels):
        raise TidemillError(f"{images_file} holds {len(images)} pictures, {labels_file} {len(labels)} labels")
    rows = [f"{images_file.name}:{number}" for number in range(len(images))]
    return pd.DataFrame(
        {"image": [_png(image) for image in images], "label": labels.astype(str), "split": split, "row": rows}
    )


def _read_idx(path: Path, dimensions: int) -> np.ndarray:
    content = files.read_bytes(path)
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != UNSIGNED_BYTE or content[3] != dimensions:
        raise TidemillError(f"{path} is not an IDX file of bytes in {dimensions} dimensions")
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise TidemillError(f"{path} is truncated: it ends in its header")
    sizes = struct.unpack_from(f">{dimensions}I", content, 4)
    values = np.frombuffer(content, np.uint8, offset=start)
    if len(values) != math.prod(sizes):
        raise TidemillError(
            f"{path} is truncated: its header declares {math.prod(sizes)} bytes, it holds {len(values)}"
        )
    if sizes[0] and not math.prod(sizes):
        raise TidemillError(f"{path} is damaged: its header declares pictures of {sizes[1]} x {sizes[2]} pixels")
    return values.reshape(sizes)


def _png(pixels: np.ndarray) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG", compress_level=1)
    return stream.getvalue()
