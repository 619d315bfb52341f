"""What the tasks share that read a text and give it labels: its form, its copies and its tokens."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import Field

from tidemill.config import Params
from tidemill.data import text
from tidemill.data.pretrained import PinnedFile
from tidemill.tasks import _labels
from tidemill.tokens import tokenizers

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class Tokenize(Params):
    """How text becomes token ids."""

    unit: tokenizers.Unit = "words"
    tokenizer: PinnedFile | None = None
    """Folder or hub id of a WordPiece tokenizer to take, instead of a vocabulary of the training texts."""
    vocabulary: int = Field(default=10000, ge=3)
    """Number of token ids, `[PAD]` and `[UNK]` among them; the rarest units become `[UNK]`."""
    length: int = Field(default=100, ge=1)
    """Tokens of a text that are kept."""


def normalise(rows: pd.DataFrame) -> pd.DataFrame:
    """Text in Unicode NFKC, without control characters, white space in one form."""
    return rows.assign(text=rows["text"].fillna("").astype(str).map(text.normalised))


def without_empty(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows; those without any text get a reason."""
    return rows.assign(reason=rows["reason"].mask(rows["reason"].isna() & rows["text"].eq(""), "no text"))


def content(rows: pd.DataFrame) -> "pd.Series[str]":
    """The text itself."""
    return rows["text"]


def near_keys(rows: pd.DataFrame, similarity: float) -> "pd.Series[str]":
    """Texts with nearly the same shingles."""
    return text.near_keys(rows["text"], similarity)


def fit(rows: Iterator[pd.DataFrame], params: Tokenize) -> "Tokenizer":
    """The tokenizer that is named, or a vocabulary of the training texts."""
    if params.tokenizer is not None:
        tokenizer = tokenizers.wordpiece(params.tokenizer)
    else:
        tokenizer = tokenizers.fit_vocabulary(_labels.tables(rows, "text"), params.unit, params.vocabulary)
    tokenizer.enable_truncation(params.length)
    return tokenizer


def tokens(rows: pd.DataFrame, tokenizer: "Tokenizer", spec: dict[str, Any]) -> list[np.ndarray]:
    """The token ids of each text."""
    dtype = np.uint16 if spec["vocabulary"] <= 2**16 else np.uint32
    codes = tokenizer.encode_batch_fast(rows["text"].tolist())
    unknown = [tokenizer.token_to_id(tokenizers.UNKNOWN)]  # stands for a text without tokens
    return [np.array(code.ids or unknown, dtype) for code in codes]
