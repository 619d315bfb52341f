"""What `tidemill new` proposes for pictures with one label each."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from tidemill.core.errors import TidemillError
from tidemill.core.pictures import decoded
from tidemill.tasks.common import proposal
from tidemill.tasks.common.proposal import Block, Candidate, Column, Pinned

SMALL = 64
"""Height and width in pixels of the pictures that a multilayer perceptron reads, at most."""
SMALLEST = 16
"""Height and width in pixels from which a convolutional network is worth a trial."""
SEEN, REDUCED = 224, 112
"""Height and width in pixels that pretrained bases were trained on, and half of them, for pictures of at most `SMALL`."""
COLOURS = 3
"""Channels that pretrained bases take."""
SAMPLED = 100
"""Pictures decoded to find out their sizes."""


def _is_picture(values: "pd.Series[Any]") -> bool:
    return bool(values.dropna().map(lambda value: isinstance(value, bytes)).all())


COLUMNS = (Column("image", "image picture img photo", _is_picture, proposal.longest), proposal.LABEL)
PRIORITY = 40
WHOLE_DOCUMENTS = False
suits = proposal.always


def labels(rows: pd.DataFrame) -> "pd.Series[str] | None":
    """Return the labels."""
    return rows["label"]


def candidates(rows: pd.DataFrame, pinned: Sequence[Pinned]) -> list[Candidate]:
    """Return networks trained from scratch on small copies of the pictures and, where one is pinned, a pretrained base.

    Raises:
        TidemillError: no picture can be read, or all rows have the same label.
    """
    proposal.check_labels(rows["label"])
    height, width, channels, note = _shape(rows["image"])
    training = proposal.training(len(rows), optimizer="adam", lr=1e-3)
    tokenize: Block = {"size": [min(height, SMALL), min(width, SMALL)], "channels": channels}
    models: dict[str, Block] = {"perceptron on pixels": {"name": "mlp", "hidden": [256], "dropout": 0.2}}
    if min(height, width) >= SMALLEST:
        models["convolutional network"] = {"name": "cnn", "dropout": 0.2}
    blocks: dict[str, Block] = {name: {"tokenize": tokenize, "model": model} for name, model in models.items()}
    for found in pinned:
        if found.task == "image_classification" and channels == COLOURS and _is_here(found.model):
            size = SEEN if max(height, width) > SMALL else REDUCED
            blocks["pretrained base"] = {"tokenize": {"size": [size, size], "channels": COLOURS}, "model": found.model}
            break
    shared = {"ingest": {"near_duplicates": 1.0}, "training": training}
    return [Candidate(name, {**shared, **block}, [note]) for name, block in blocks.items()]


def trivial(rows: pd.DataFrame) -> float:
    """Return the accuracy of predicting the most frequent label for every row."""
    return proposal.share_of_commonest(rows["label"])


def _is_here(model: Block) -> bool:
    """Return whether a pretrained model is a folder that `tidemill fetch` has brought."""
    return Path(model["pretrained"].get("path") or "").is_dir()


def _shape(images: "pd.Series[bytes]") -> tuple[int, int, int, str]:
    """Return height, width and channels that most pictures have, and a note."""
    shapes = Counter[tuple[int, int, str]]()
    for content in images.head(SAMPLED):
        try:
            picture = decoded(content)
        except ValueError:
            continue  # ingest rejects it and gives the reason
        shapes[picture.height, picture.width, picture.mode] += 1
    if not shapes:
        raise TidemillError("none of the pictures can be read")
    (height, width, mode), _ = shapes.most_common(1)[0]
    channels = 1 if mode in ("1", "L", "LA", "I;16") else 3
    others = f"; {len(shapes)} different sizes and modes" if len(shapes) > 1 else ""
    return height, width, channels, f"pictures: mostly {height}x{width} {mode}{others}"
