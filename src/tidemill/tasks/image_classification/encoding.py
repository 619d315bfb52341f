"""Encoding: pictures to pixels of one shape, labels to their positions in the spec."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from tidemill.core.spec import Kind, Spec
from tidemill.tasks.common import encoding as common

KINDS: tuple[Kind, ...] = (("pixels", "labels"),)

Tokenize = common.TokenizePictures


def kind(params: common.TokenizePictures) -> Kind:
    """Return the one kind of the task."""
    return KINDS[0]


def fit(blocks: Iterator[pd.DataFrame], params: common.TokenizePictures) -> None:
    """Return None: pixels need no tokenizer."""


def specify(blocks: Iterator[pd.DataFrame], params: common.TokenizePictures, tokenizer: None) -> Spec:
    """Return labels, outputs, and the shape of a picture: height, width, channels.

    Raises:
        TidemillError: there are fewer than two labels; or the preprocessor is missing, is not the pinned one, or does more
            than to scale pictures and their values.
    """
    return {**common.specify_labels(blocks), **common.specify_pictures(params)}


def encode(rows: pd.DataFrame, tokenizer: None, spec: Spec) -> dict[str, Any]:
    """Return `pixels`, uint8 (B, H, W, C), and, where the rows have labels, `labels` (B,).

    Raises:
        TidemillError: a label does not occur in the training rows.
        ValueError: a picture cannot be read.
    """
    columns = common.encode_pictures(rows, spec)
    return columns | ({"labels": common.encode_labels(rows, spec)} if "label" in rows else {})
