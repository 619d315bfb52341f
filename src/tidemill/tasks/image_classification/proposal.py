"""What `tidemill new` proposes for pictures with one label each."""

from collections import Counter
from typing import Any

import pandas as pd

from tidemill.core.errors import TidemillError
from tidemill.core.pictures import decoded
from tidemill.tasks.common import proposal
from tidemill.tasks.common.proposal import Block, Column, Pinned, Proposed

SMALL = 64
"""Height and width in pixels up to which a multilayer perceptron over the pixels will do."""
SAMPLED = 100
"""Pictures decoded to find out their sizes."""


def _is_picture(values: "pd.Series[Any]") -> bool:
    return bool(values.dropna().map(lambda value: isinstance(value, bytes)).all())


COLUMNS = (Column("image", "image picture img photo", _is_picture, proposal.longest), proposal.LABEL)
PRIORITY = 40
WHOLE_DOCUMENTS = False


def labels(rows: pd.DataFrame) -> "pd.Series[str] | None":
    """Return the labels."""
    return rows["label"]


def propose(rows: pd.DataFrame, pinned: Pinned | None) -> Proposed:
    """Propose a pinned pretrained model for large pictures where there is one, else a multilayer perceptron.

    Raises:
        TidemillError: no picture can be read, or all rows have the same label.
    """
    proposal.check_labels(rows["label"])
    height, width, channels, note = _shape(rows["image"])
    tokenize: Block = {"size": [min(height, SMALL), min(width, SMALL)], "channels": channels}
    model: Block = {"name": "mlp", "hidden": [256], "dropout": 0.2}
    if max(height, width) > SMALL and pinned is not None:
        tokenize, model = {"size": [224, 224], "channels": 3}, pinned.model
        note += "; built on the pretrained model that another system here has pinned"
    params = proposal.classifier(rows, tokenize, model, {"optimizer": "adam", "lr": 1e-3})
    return Proposed({"ingest": {"near_duplicates": 1.0}, **params}, [note])


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
