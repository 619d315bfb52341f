"""Encoding: pictures to pixels of one shape, labels to their positions in the spec."""

from collections.abc import Iterator
from typing import Any, Literal

import pandas as pd
from pydantic import Field

from tidemill.core.params import Params
from tidemill.core.pinned import PinnedFile
from tidemill.core.spec import Kind, Spec
from tidemill.tasks.common import encoding as common
from tidemill.tokens import preprocessors
from tidemill.tokens.pixels import stacked

KINDS: tuple[Kind, ...] = (("pixels", "labels"),)


class Tokenize(Params):
    """How a picture becomes pixels."""

    size: list[int] = Field(default=[224, 224], min_length=2, max_length=2)
    """Height and width in pixels; a picture of another size is scaled, and its edges are cut where its sides differ."""
    channels: Literal[1, 3] = 3
    """1 for grey; 3 for red, green and blue."""
    preprocessor: PinnedFile | None = None
    """Folder or hub id with the `preprocessor_config.json` of a checkpoint, which then decides size, cut, resampling and,
    for the model `transformers`, mean and deviation, in three channels: `size` and `channels` do not count."""


def kind(params: Tokenize) -> Kind:
    """Return the one kind of the task."""
    return KINDS[0]


def fit(blocks: Iterator[pd.DataFrame], params: Tokenize) -> None:
    """Return None: pixels need no tokenizer."""


def specify(blocks: Iterator[pd.DataFrame], params: Tokenize, tokenizer: None) -> Spec:
    """Return labels, outputs, and the shape of a picture: height, width, channels.

    Raises:
        TidemillError: there are fewer than two labels; or the preprocessor is missing, is not the pinned one, or does more
            than to scale pictures and their values.
    """
    found: Spec = common.specify_labels(blocks)
    if params.preprocessor is None:
        return {**found, "shape": [*params.size, params.channels]}
    document = preprocessors.read(params.preprocessor)
    preprocessor = preprocessors.of(document)
    mean, deviation = preprocessor.normalisation()
    shape = preprocessor.shape()
    return {**found, "shape": shape, "preprocessor": document, "mean": mean, "deviation": deviation}


def encode(rows: pd.DataFrame, tokenizer: None, spec: Spec) -> dict[str, Any]:
    """Return `pixels`, uint8 (B, H, W, C), and, where the rows have labels, `labels` (B,).

    Raises:
        TidemillError: a label does not occur in the training rows.
        ValueError: a picture cannot be read.
    """
    preprocessor = preprocessors.of(spec["preprocessor"]) if "preprocessor" in spec else None
    columns: dict[str, Any] = {"pixels": stacked(rows["image"], spec["shape"], preprocessor)}
    return columns | ({"labels": common.encode_labels(rows, spec)} if "label" in rows else {})
