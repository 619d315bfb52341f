"""Encoding: texts to token ids or n-grams, the target to standard deviations from its mean."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd

from tidemill.core.spec import Kind, Spec
from tidemill.tasks.common import encoding as common

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from tidemill.tokens.ngrams import NGrams

KINDS = common.NUMBER_KINDS

Tokenize = common.TokenizeText
fit = common.fit_text


def kind(params: common.TokenizeText) -> Kind:
    """Return what the task asks of a model with these params."""
    return common.kind_of_text(params)[0], "number"


def specify(blocks: Iterator[pd.DataFrame], params: common.TokenizeText, tokenizer: "Tokenizer | NGrams") -> Spec:
    """Return mean and deviation of the target, one output, and vocabulary size; of tokens also their length.

    Raises:
        TidemillError: all targets are the same.
    """
    targets = (target for block in blocks for target in block["target"])
    return {**common.specify_number(targets), **common.specify_text(params, tokenizer)}


def encode(rows: pd.DataFrame, tokenizer: "Tokenizer | NGrams", spec: Spec) -> dict[str, Any]:
    """Return ragged `tokens`, or `ngrams` and `weights`, and, where the rows have one, `target` (B,)."""
    columns = common.encode_text(rows, tokenizer, spec)
    return columns | ({"target": common.encode_number(rows, spec)} if "target" in rows else {})
