"""Rows: a text, or a conversation in its normal form as one.

A conversation comes as a list of messages in column `text`, or as a prompt there and a `response` beside it.
"""

from typing import Any

import numpy as np
import pandas as pd

from tidemill.core import conversations, text
from tidemill.core.conversations import ASSISTANT, USER
from tidemill.core.errors import TidemillError
from tidemill.tasks.common import rows as common

INPUTS = ("text",)
TARGETS = ("label",)

RESPONSE = "response"
"""The column that makes texts prompts."""

content = common.text_content


def group(rows: pd.DataFrame) -> "pd.Series[str]":
    """Return the text itself, or what was said before the last response: other responses to it are in the same split."""
    return rows["text"].map(_before_response)


def near_copies(rows: pd.DataFrame, similarity: float) -> "pd.Series[str]":
    """Return a group name that texts with nearly the same shingles share; those of a conversation are of its contents."""
    from tidemill.rows import near_copies

    return near_copies.texts(rows["text"].map(_contents), similarity)


def normalise(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the texts as they are, but for line ends, control characters and Unicode NFC; messages in their normal form.

    Raises:
        TidemillError: a value is a list, and not of messages.
    """
    found = [_normal(value) for value in rows["text"]]
    if reason := next((reason for _, reason in found if reason), None):
        raise TidemillError(reason)
    return rows.assign(text=[written for written, _ in found])


def clean(rows: pd.DataFrame) -> pd.DataFrame:
    """Normalise the text, with its response where there is such a column; rows without any get a reason."""
    found = [_normal(value) for value in (_joined(rows) if RESPONSE in rows else rows["text"])]
    reasons = pd.Series([reason or _unanswered(written) for written, reason in found], rows.index, dtype=object)
    texts = [written.strip() for written, _ in found]
    rows = rows.assign(text=texts, label=None, reason=rows["reason"].where(rows["reason"].notna(), reasons))
    return common.reject_empty(rows.drop(columns=RESPONSE, errors="ignore"))


def _joined(rows: pd.DataFrame) -> list[Any]:
    """Return prompts and responses as messages; a prompt can be messages itself."""
    pairs = zip(rows["text"], rows[RESPONSE].fillna("").astype(str).str.strip(), strict=True)
    return [
        [
            *(prompt if _is_list(prompt) else [{"role": USER, "content": _text(prompt)}]),
            {"role": ASSISTANT, "content": said},
        ]
        for prompt, said in pairs
    ]


def _normal(value: Any) -> tuple[str, str | None]:
    """Return the normal form of a text or of messages, or an empty one and why there is none."""
    if not _is_list(value):
        return text.tidied(_text(value)), None
    try:
        return conversations.written(list(value)), None
    except ValueError as error:
        return "", str(error)


def _unanswered(written: str) -> str | None:
    """Return why nothing can be learned from a conversation, if so."""
    messages = conversations.read(written)
    if messages is None:
        return None
    if messages[-1]["role"] != ASSISTANT or not messages[-1]["content"].strip():
        return "the conversation ends without a response"
    return None if any(one["content"].strip() for one in messages[:-1]) else "the conversation has no prompt"


def _before_response(written: str) -> str:
    messages = conversations.read(written)
    return written if messages is None else "\n".join(one["content"] for one in messages[:-1])


def _contents(written: str) -> str:
    return "\n".join(content for content, _ in conversations.parts(written))


def _text(value: Any) -> str:
    return "" if value is None or value != value else str(value)


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple | np.ndarray)
