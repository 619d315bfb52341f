"""A picture in, one of several labels out."""

import base64
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from tidemill.config import Expectation, Fraction, Params, Validate
from tidemill.data import expectations as expect
from tidemill.errors import TidemillError
from tidemill.tasks import _behaviour, _classification, _labels

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

INPUTS = ("image",)
MAIN_METRIC = _classification.MAIN_METRIC
MEANINGS = _classification.MEANINGS
BUCKET = None
BASELINE_SIDE = 32
"""Pixels of a side that the linear baseline sees at most: more give it little and cost much."""

score = _classification.score
metrics = _classification.metrics
plots = _classification.plots

Behaviour = _behaviour.PictureBehaviour


class Tokenize(Params):
    """How a picture becomes pixels."""

    size: list[int] = Field(default=[224, 224], min_length=2, max_length=2)
    """Height and width; a picture of another size is scaled to it, and its edges cut where the shape differs."""
    channels: Literal[1, 3] = 3
    """1 for grey, 3 for red, green and blue."""


class Augment(Params):
    """How far a picture may be changed; 0 leaves it as it is."""

    crop: Fraction = 0.0
    """Largest share of its sides that is cut off, anywhere."""
    flip: bool = False
    """Whether every other picture, by chance, is mirrored left to right."""
    rotation: Annotated[float, Field(ge=0, le=180)] = 0.0
    """Largest angle, in degrees, to either side."""
    colour: Fraction = 0.0
    """Largest change of brightness, of contrast and of saturation, as a share of what they are."""
    mixup: Annotated[float, Field(ge=0)] = 0.0
    """Alpha of Zhang et al. (2018): two pictures, and their labels, are mixed by a share from a Beta(alpha, alpha)."""


def normalise(rows: pd.DataFrame) -> pd.DataFrame:
    """Pictures as bytes or pixels; their size and colours are made alike when they become pixels.

    Raises:
        TidemillError: a text is not the base64 of a picture.
    """
    return rows.assign(image=rows["image"].map(_decoded))


def clean(rows: pd.DataFrame) -> pd.DataFrame:
    """Describe the pictures; those that cannot be read, or have no label, get a reason."""
    from tidemill.data import pictures

    return pictures.described(_labels.labelled(rows))


def content(rows: pd.DataFrame) -> "pd.Series[str]":
    """The hash of the pixels: the same picture in another file format is the same."""
    return rows["pixels"]


def near_keys(rows: pd.DataFrame, similarity: float) -> "pd.Series[str]":
    """Pictures whose brightness rises and falls alike; the similarity asked for is that of equal keys."""
    from tidemill.data import pictures

    return pictures.near_keys(rows["image"])


def expectations(params: Validate, tables: dict[str, pd.DataFrame]) -> list[Expectation]:
    """Pictures of a sane shape and range, and labels that are known and balanced enough."""
    return expect.picture_expectations(tables) + expect.label_expectations(params, tables)


def fit(rows: Iterator[pd.DataFrame], params: Tokenize) -> "Tokenizer | None":
    """Pixels need no tokenizer."""
    return None


def specify(rows: Iterator[pd.DataFrame], params: Tokenize, tokenizer: None) -> dict[str, Any]:
    """Labels, outputs, and the shape of a picture: height, width, channels."""
    return _labels.specify_labels(rows) | {"shape": [*params.size, params.channels]}


def encode(rows: pd.DataFrame, tokenizer: None, spec: dict[str, Any]) -> dict[str, Any]:
    """`pixels` (rows, height, width, channels) as bytes and, where the rows have labels, `labels`."""
    columns: dict[str, Any] = {"pixels": _stacked(rows["image"], spec["shape"])}
    return columns | ({"labels": _labels.encode_labels(rows, spec)} if "label" in rows else {})


def augment(batch: dict[str, "torch.Tensor"], params: Augment) -> dict[str, "torch.Tensor"]:
    """Pictures cut, mirrored, turned, coloured and mixed by chance."""
    from tidemill.tasks.image_classification import augmentation

    return augmentation.augmented(batch, params)


def features(base: "torch.nn.Module", batch: dict[str, "torch.Tensor"]) -> "torch.Tensor":
    """What the base of a network makes of each picture, (rows, width)."""
    found: torch.Tensor = base(_scaled(batch["pixels"]))
    return found


def step(
    network: "torch.nn.Module", batch: dict[str, "torch.Tensor"], label_smoothing: float
) -> tuple["torch.Tensor", dict[str, "torch.Tensor"]]:
    """Cross-entropy of the labels, and accuracy; of mixed pictures, that of both labels by their shares."""
    logits = network(batch["features"] if "features" in batch else _scaled(batch["pixels"]))
    loss = _labels.loss(logits, batch["labels"], label_smoothing)
    if "other_labels" in batch:
        others = _labels.loss(logits, batch["other_labels"], label_smoothing)
        loss = batch["share"] * loss + (1 - batch["share"]) * others
    return loss, {"accuracy": _labels.accuracy(logits, batch["labels"])}


def outputs(network: "torch.nn.Module", batch: dict[str, "torch.Tensor"], spec: dict[str, Any]) -> dict[str, Any]:
    """The likeliest label, its probability, and those of all labels."""
    return _labels.answers(network(_scaled(batch["pixels"])), spec)


def baselines(train: pd.DataFrame, test: pd.DataFrame, spec: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """The commonest label, and a linear model on the pixels of small pictures."""
    from tidemill.tasks import _baselines

    height, width, channels = spec["shape"]
    shape = [min(height, BASELINE_SIDE), min(width, BASELINE_SIDE), channels]
    return {
        "majority": _baselines.majority(train, test, spec),
        "linear": _baselines.linear_pixels(train, test, spec, lambda rows: _stacked(rows["image"], shape)),
    }


def _stacked(images: "pd.Series[Any]", shape: list[int]) -> np.ndarray:
    pixels = np.empty((len(images), *shape), np.uint8)
    for place, image in zip(pixels, images, strict=True):
        place[:] = _pixels(image, shape)
    return pixels


def _pixels(image: Any, shape: list[int]) -> np.ndarray:
    """A picture, given as encoded bytes or as an array of grey or colour values, as bytes of that shape."""
    from PIL import Image, ImageOps

    from tidemill.data import pictures

    picture = pictures.decoded(image) if isinstance(image, bytes) else Image.fromarray(np.asarray(image, np.uint8))
    height, width, channels = shape
    picture = picture.convert("L" if channels == 1 else "RGB")
    if picture.size != (width, height):
        picture = ImageOps.fit(picture, (width, height), Image.Resampling.BILINEAR)
    return np.asarray(picture, np.uint8).reshape(shape)


def _scaled(pixels: "torch.Tensor") -> "torch.Tensor":
    """Bytes (rows, height, width, channels) as numbers from 0 to 1, (rows, channels, height, width)."""
    return pixels.movedim(-1, 1).float() / 255


def _decoded(value: Any) -> Any:
    """JSON has no bytes: there an encoded picture is base64 text."""
    try:
        return base64.b64decode(value, validate=True) if isinstance(value, str) else value
    except ValueError as error:
        raise TidemillError(f"the text {value[:20]!r} is not the base64 of a picture: {error}") from error
