"""Text in, one of several labels out."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd

from tidemill.config import Expectation, Validate
from tidemill.data import expectations as expect
from tidemill.tasks import _behaviour, _classification, _labels, _texts

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

INPUTS = ("text",)
MAIN_METRIC = _classification.MAIN_METRIC
MEANINGS = _classification.MEANINGS
BUCKET = "tokens"

Tokenize = _texts.Tokenize
Behaviour = _behaviour.TextBehaviour
normalise = _texts.normalise
content = _texts.content
near_keys = _texts.near_keys
fit = _texts.fit
score = _classification.score
metrics = _classification.metrics
plots = _classification.plots


def clean(rows: pd.DataFrame) -> pd.DataFrame:
    """Normalise the text; rows without any, or without a label, get a reason."""
    return _texts.without_empty(_labels.labelled(normalise(rows)))


def expectations(params: Validate, tables: dict[str, pd.DataFrame]) -> list[Expectation]:
    """Text that is not empty, and labels that are known and balanced enough."""
    return expect.text_expectations() + expect.label_expectations(params, tables)


def specify(rows: Iterator[pd.DataFrame], params: Tokenize, tokenizer: "Tokenizer") -> dict[str, Any]:
    """Labels, outputs, vocabulary size and length."""
    return _labels.specify_labels(rows) | {"vocabulary": tokenizer.get_vocab_size(), "length": params.length}


def encode(rows: pd.DataFrame, tokenizer: "Tokenizer", spec: dict[str, Any]) -> dict[str, Any]:
    """Ragged `tokens` and, where the rows have labels, `labels`."""
    columns: dict[str, Any] = {"tokens": _texts.tokens(rows, tokenizer, spec)}
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
