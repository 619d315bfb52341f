"""Text in, any number of labels out, or none."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tidemill.config import Expectation, Validate
from tidemill.data import expectations as expect
from tidemill.errors import TidemillError
from tidemill.tasks import Metrics, _behaviour, _texts
from tidemill.tasks.multilabel_classification import label_sets, scores

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

INPUTS = ("text",)
TARGETS = ("labels",)
MAIN_METRIC = scores.MAIN_METRIC
MEANINGS = scores.MEANINGS
BUCKET = "tokens"

Tokenize = _texts.Tokenize
Behaviour = _behaviour.TextBehaviour
normalise = _texts.normalise
content = _texts.content
near_keys = _texts.near_keys
fit = _texts.fit


def clean(rows: pd.DataFrame) -> pd.DataFrame:
    """Normalise text and labels; rows without text get a reason. `label` has the labels as one text."""
    if "labels" not in rows:
        raise TidemillError("no column 'labels', which multilabel_classification needs: name theirs in source.columns")
    labels = rows["labels"].map(label_sets.cleaned)
    rows = normalise(rows).assign(labels=labels, label=labels.map(label_sets.written))
    return _texts.without_empty(rows)


def expectations(params: Validate, tables: dict[str, pd.DataFrame]) -> list[Expectation]:
    """Text that is not empty, and labels that are known from training and none too rare."""
    known = label_sets.known(tables["train"]["labels"])
    return expect.text_expectations() + expect.label_set_expectations(params, known, label_sets.BETWEEN)


def specify(rows: Iterator[pd.DataFrame], params: Tokenize, tokenizer: "Tokenizer") -> dict[str, Any]:
    """Labels, an output for each, vocabulary size and length."""
    labels = label_sets.known(pd.concat([block["labels"] for block in rows]))
    if not labels:
        raise TidemillError("no training row has a label: is source.columns.labels the right column?")
    if len(labels) > expect.MOST_LABELS:
        raise TidemillError(f"{len(labels):,} labels, but at most {expect.MOST_LABELS:,} can be told apart")
    measures = {"vocabulary": tokenizer.get_vocab_size(), "length": params.length}
    return {"labels": labels, "outputs": len(labels), **measures}


def encode(rows: pd.DataFrame, tokenizer: "Tokenizer", spec: dict[str, Any]) -> dict[str, Any]:
    """Ragged `tokens` and, where the rows have labels, `labels`: 1 for each that a row has."""
    columns: dict[str, Any] = {"tokens": _texts.tokens(rows, tokenizer, spec)}
    given = label_sets.encoded(rows["labels"], spec["labels"]).astype(np.uint8) if "labels" in rows else None
    return columns if given is None else columns | {"labels": given}


def step(
    network: "torch.nn.Module", batch: dict[str, "torch.Tensor"], label_smoothing: float
) -> tuple["torch.Tensor", dict[str, "torch.Tensor"]]:
    """Binary cross-entropy, mean over rows and labels; and the share of rows whose labels are all right."""
    from torch.nn import functional

    logits = network(batch["tokens"], batch["tokens_length"])
    targets = batch["labels"].to(logits.dtype)
    smooth = targets * (1 - label_smoothing) + label_smoothing / 2
    right = ((logits > 0) == (targets > 0)).all(dim=1).float().mean()
    return functional.binary_cross_entropy_with_logits(logits, smooth), {"subset_accuracy": right}


def outputs(network: "torch.nn.Module", batch: dict[str, "torch.Tensor"], spec: dict[str, Any]) -> dict[str, Any]:
    """The labels that are likelier than not, how likely it is that they are all right, and each label's probability."""
    chances = network(batch["tokens"], batch["tokens_length"]).double().sigmoid().cpu().numpy()
    return label_sets.answers(chances, spec["labels"])


def score(predictions: pd.DataFrame, spec: dict[str, Any]) -> pd.DataFrame:
    """The predictions, with the labels of each row as one text, whether they are all right, and its `loss` in nats."""
    return scores.scored(predictions, spec["labels"])


def metrics(predictions: pd.DataFrame, spec: dict[str, Any]) -> Metrics:
    """F1 over all labels and by label, precision and recall, share of rows that are wholly right, and log loss."""
    return scores.metrics(predictions, spec["labels"])


def plots(predictions: pd.DataFrame, spec: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """`calibration`: confidence, share of rows that are wholly right, and rows of each bin that is not empty."""
    return {"calibration": scores.calibration(predictions)}


def baselines(train: pd.DataFrame, test: pd.DataFrame, spec: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """The commonest set of labels, and a linear model on TF-IDF for each label."""
    from tidemill.tasks.multilabel_classification import set_baselines

    return {
        "majority": set_baselines.majority(train, test, spec["labels"]),
        "linear": set_baselines.linear(train, test, spec["labels"]),
    }
