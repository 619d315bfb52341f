"""Encoding: pictures to pixels of one shape, the target to standard deviations from its mean."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from tidemill.core.spec import Kind, Spec
from tidemill.tasks.common import encoding as common

KINDS: tuple[Kind, ...] = (("pixels", "number"),)

Tokenize = common.TokenizePictures


def kind(params: common.TokenizePictures) -> Kind:
    """Return the one kind of the task."""
    return KINDS[0]


def fit(blocks: Iterator[pd.DataFrame], params: common.TokenizePictures) -> None:
    """Return None: pixels need no tokenizer."""


def specify(blocks: Iterator[pd.DataFrame], params: common.TokenizePictures, tokenizer: None) -> Spec:
    """Return mean and deviation of the target, one output, and the shape of a picture: height, width, channels.

    Raises:
        TidemillError: all targets are the same; or the preprocessor is missing, is not the pinned one, or does more
            than to scale pictures and their values.
    """
    targets = (target for block in blocks for target in block["target"])
    return {**common.specify_number(targets), **common.specify_pictures(params)}


def encode(rows: pd.DataFrame, tokenizer: None, spec: Spec) -> dict[str, Any]:
    """Return `pixels`, uint8 (B, H, W, C), and, where the rows have one, `target` (B,).

    Raises:
        ValueError: a picture cannot be read.
    """
    columns = common.encode_pictures(rows, spec)
    return columns | ({"target": common.encode_number(rows, spec)} if "target" in rows else {})
