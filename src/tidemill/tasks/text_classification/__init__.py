"""Text in, one of several labels out."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import Field

from tidemill.config import Expectation, Params, Validate
from tidemill.data import expectations as expect
from tidemill.data import text
from tidemill.data.pretrained import PinnedFile
from tidemill.tasks import _behaviour, _classification, _labels
from tidemill.tokens import tokenizers

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

INPUTS = ("text",)
MAIN_METRIC = _classification.MAIN_METRIC
MEANINGS = _classification.MEANINGS
BUCKET = "tokens"

score = _classification.score
metrics = _classification.metrics
plots = _classification.plots

Behaviour = _behaviour.TextBehaviour


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


def clean(rows: pd.DataFrame) -> pd.DataFrame:
    """Normalise the text; rows without any, or without a label, get a reason."""
    rows = _labels.labelled(normalise(rows))
    return rows.assign(reason=rows["reason"].mask(rows["reason"].isna() & rows["text"].eq(""), "no text"))


def content(rows: pd.DataFrame) -> "pd.Series[str]":
    """The text itself."""
    return rows["text"]


def near_keys(rows: pd.DataFrame, similarity: float) -> "pd.Series[str]":
    """Texts with nearly the same shingles."""
    return text.near_keys(rows["text"], similarity)


def expectations(params: Validate, tables: dict[str, pd.DataFrame]) -> list[Expectation]:
    """Text that is not empty, and labels that are known and balanced enough."""
    return expect.text_expectations() + expect.label_expectations(params, tables)


def fit(rows: Iterator[pd.DataFrame], params: Tokenize) -> "Tokenizer":
    """The tokenizer that is named, or a vocabulary of the training texts."""
    if params.tokenizer is not None:
        tokenizer = tokenizers.wordpiece(params.tokenizer)
    else:
        tokenizer = tokenizers.fit_vocabulary(_labels.tables(rows, "text"), params.unit, params.vocabulary)
    tokenizer.enable_truncation(params.length)
    return tokenizer


def specify(rows: Iterator[pd.DataFrame], params: Tokenize, tokenizer: "Tokenizer") -> dict[str, Any]:
    """Labels, outputs, vocabulary size and length."""
    return _labels.specify_labels(rows) | {"vocabulary": tokenizer.get_vocab_size(), "length": params.length}


def encode(rows: pd.DataFrame, tokenizer: "Tokenizer", spec: dict[str, Any]) -> dict[str, Any]:
    """Ragged `tokens` and, where the rows have labels, `labels`."""
    dtype = np.uint16 if spec["vocabulary"] <= 2**16 else np.uint32
    codes = tokenizer.encode_batch_fast(rows["text"].tolist())
    unknown = [tokenizer.token_to_id(tokenizers.UNKNOWN)]  # stands for a text without tokens
    columns: dict[str, Any] = {"tokens": [np.array(code.ids or unknown, dtype) for code in codes]}
    return columns | ({"labels": _labels.encode_labels(rows, spec)} if "label" in rows else {})


def step(
    network: "torch.nn.Module", batch: dict[str, "torch.Tensor"], label_smoothing: float
) -> tuple["torch.Tensor", dict[str, "torch.Tensor"]]:
    """Cross-entropy of the labels, and accuracy."""
    logits = network(batch["tokens"], batch["tokens_length"])
    return _labels.loss(logits, batch["labels"], label_smoothing), {
        "accuracy": _labels.accuracy(logits, batch["labels"])
    }


def outputs(network: "torch.nn.Module", batch: dict[str, "torch.Tensor"], spec: dict[str, Any]) -> dict[str, Any]:
    """The likeliest label, its probability, and those of all labels."""
    return _labels.answers(network(batch["tokens"], batch["tokens_length"]), spec)


def baselines(train: pd.DataFrame, test: pd.DataFrame, spec: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """The commonest label, and a linear model on TF-IDF."""
    from tidemill.tasks import _baselines

    return {
        "majority": _baselines.majority(train, test, spec),
        "linear": _baselines.linear_text(train, test, spec),
    }
