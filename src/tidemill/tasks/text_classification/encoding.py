"""Encoding: texts to token ids or n-grams, labels to their positions in the spec."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd

from tidemill.core.spec import Spec
from tidemill.tasks.common import encoding as common

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from tidemill.tokens.ngrams import NGrams

KINDS = common.TEXT_KINDS

Tokenize = common.TokenizeText
kind = common.kind_of_text
fit = common.fit_text


def specify(blocks: Iterator[pd.DataFrame], params: common.TokenizeText, tokenizer: "Tokenizer | NGrams") -> Spec:
    """Return labels, outputs, and vocabulary size; of tokens also their length.

    Raises:
        TidemillError: there are fewer than two labels.
    """
    return {**common.specify_labels(blocks), **common.specify_text(params, tokenizer)}


def encode(rows: pd.DataFrame, tokenizer: "Tokenizer | NGrams", spec: Spec) -> dict[str, Any]:
    """Return ragged `tokens`, or `ngrams` and `weights`, and, where the rows have labels, `labels` (B,).

    Raises:
        TidemillError: a label does not occur in the training rows.
    """
    columns = common.encode_text(rows, tokenizer, spec)
    return columns | ({"labels": common.encode_labels(rows, spec)} if "label" in rows else {})
