"""What `tidemill new` proposes for texts to be continued, and for prompts and conversations to be responded to."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from tidemill.core import conversations
from tidemill.tasks.common import proposal
from tidemill.tasks.common.proposal import Block, Candidate, Column, Pinned
from tidemill.tasks.text_generation.rows import RESPONSE, clean


def _is_text_or_messages(values: "pd.Series[Any]") -> bool:
    return proposal.is_text(values) or bool(values.dropna().map(_is_messages).all())


def _is_messages(value: Any) -> bool:
    try:
        return bool(conversations.written(list(value)))
    except (ValueError, TypeError):
        return False


COLUMNS = (
    Column(
        "text",
        f"messages conversation conversations dialogue {proposal.TEXT.aliases} instruction question",
        _is_text_or_messages,
        proposal.longest,
    ),
    Column(RESPONSE, "response completion answer output reply", proposal.is_text, needed=False),
)
PRIORITY = 10
WHOLE_DOCUMENTS = True
suits = proposal.always

LARGE = 2_000_000
"""Characters from which a larger vocabulary and fewer epochs serve better."""


def labels(rows: pd.DataFrame) -> "pd.Series[str] | None":
    """Texts to be continued have no labels."""
    return None


def candidates(rows: pd.DataFrame, pinned: Sequence[Pinned]) -> list[Candidate]:
    """Return a small GPT-2, trained from scratch; it reads conversations by the plain template."""
    texts = clean(rows.assign(reason=None))["text"]
    is_chat = bool(texts.map(conversations.read).notna().all())
    _, length, note = proposal.text_lengths(texts)
    is_large = int(texts.str.len().sum()) > LARGE
    training: Block = {"epochs": 4 if is_large else 10, "batch": 16, "optimizer": "adamw", "lr": 2e-3}
    training |= {
        "weight_decay": 0.1,
        "clip": 1.0,
        "precision": "auto",
        "schedule": {"name": "cosine", "warmup": 0.05, "floor": 0.05},
    }
    params = {
        "tokenize": ({"chat": "plain"} if is_chat else {})
        | {"vocabulary": 4096 if is_large else 1024, "length": min(256, max(32, _power_of_two(length)))},
        "model": {"name": "gpt2", "width": 192, "heads": 6, "layers": 4, "dropout": 0.1},
        "training": training,
    }
    return [Candidate("small GPT-2", params, [note])]


def trivial(rows: pd.DataFrame) -> float:
    """Return the compression of a text that is stored as it is."""
    return 1.0


def _power_of_two(length: int) -> int:
    """Return the length, rounded up to a power of two."""
    return 1 << math.ceil(math.log2(length))
