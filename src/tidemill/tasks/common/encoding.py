"""Encoding of a task: rows to the numbers of a packed shard, and the spec that tells a model their shape."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
from pydantic import Field

from tidemill.core import plugins
from tidemill.core.errors import TidemillError
from tidemill.core.labels import in_order
from tidemill.core.params import Params
from tidemill.core.pinned import PinnedFile
from tidemill.core.spec import Kind, Spec
from tidemill.tokens import tokenizers

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class EncodingPart(Protocol):
    """What `tasks/<task>/encoding.py` defines."""

    KIND: Kind
    """What the task asks of a model; a model that can do it lists it in `ACCEPTS`."""
    Tokenize: type[Params]
    """Params of the tokenize stage."""

    def fit(self, blocks: Iterator[pd.DataFrame], params: Any) -> "Tokenizer | None":
        """Return a tokenizer fitted to the training rows; None where the content needs none."""

    def specify(self, blocks: Iterator[pd.DataFrame], params: Any, tokenizer: Any) -> Spec:
        """Return the spec by the training rows: labels, vocabulary size, length, shape of a picture.

        Args:
            tokenizer: as `fit` returns it.

        Raises:
            TidemillError: nothing can be learned from these rows, e.g. they have one label only.
        """

    def encode(self, rows: pd.DataFrame, tokenizer: Any, spec: Spec) -> dict[str, Any]:
        """Return the columns of a shard: an array for values of one shape, a list of arrays or `Ragged` for others.

        Targets are encoded where the rows have them; the rows of a request have none.

        Raises:
            TidemillError: a label does not occur in the training rows.
        """


def of(task: str) -> EncodingPart:
    """Return the encoding part of a task, by the task's name."""
    part: EncodingPart = plugins.load("tasks", task, "encoding")
    return part


class TokenizeText(Params):
    """How a text that gets labels becomes token ids."""

    unit: tokenizers.Unit = "words"
    """What a token is, where the vocabulary is made from the training texts."""
    tokenizer: PinnedFile | None = None
    """Folder or hub id of a tokenizer to take, any `tokenizer.json` or BERT's `vocab.txt`, instead of a vocabulary of the
    training texts."""
    vocabulary: int = Field(default=10000, ge=3)
    """Number of token ids, `[PAD]` and `[UNK]` among them; the rarest units become `[UNK]`."""
    length: int = Field(default=100, ge=1)
    """Tokens of a text that are kept."""


def fit_text(blocks: Iterator[pd.DataFrame], params: TokenizeText) -> "Tokenizer":
    """Return the tokenizer that the params name, or one with a vocabulary of the training texts.

    Raises:
        TidemillError: the named tokenizer is missing, damaged or not the pinned one.
    """
    if params.tokenizer is not None:
        tokenizer = tokenizers.read(params.tokenizer)
    else:
        texts = (text for block in blocks for text in block["text"])
        tokenizer = tokenizers.fit_vocabulary(texts, params.unit, params.vocabulary)
    tokenizer.enable_truncation(params.length)
    return tokenizer


def encode_text(rows: pd.DataFrame, tokenizer: "Tokenizer", spec: Spec) -> list[np.ndarray]:
    """Return the token ids of each text, arrays (T,).

    A text without tokens becomes one `[UNK]`, or token 0 where there is none.
    """
    dtype = token_dtype(spec)
    encodings = tokenizer.encode_batch_fast(rows["text"].tolist())
    unknown = [tokenizer.token_to_id(tokenizers.UNKNOWN) or 0]
    return [np.array(encoding.ids or unknown, dtype) for encoding in encodings]


def token_dtype(spec: Spec) -> type[np.uint16] | type[np.uint32]:
    """Return the smallest of two types that holds any token id."""
    return np.uint16 if spec["vocabulary"] <= 2**16 else np.uint32


def specify_labels(blocks: Iterable[pd.DataFrame]) -> Spec:
    """Return the part of a spec that one label a row takes: the labels in order, and the outputs they need.

    Two labels share one sigmoid output.

    Raises:
        TidemillError: there are fewer than two labels.
    """
    labels = in_order({label for block in blocks for label in block["label"]})
    if len(labels) < 2:
        raise TidemillError(f"the training rows have {len(labels)} label; a classifier needs two or more")
    return {"labels": labels, "outputs": 1 if len(labels) == 2 else len(labels)}


def encode_labels(rows: pd.DataFrame, spec: Spec) -> np.ndarray:
    """Return the position of each row's label in the spec, int32 (B,).

    Raises:
        TidemillError: a label does not occur in the training rows.
    """
    codes: np.ndarray = pd.Index(spec["labels"]).get_indexer(pd.Index(rows["label"]))
    if (codes < 0).any():
        row = rows.iloc[int(np.argmax(codes < 0))]
        raise TidemillError(f"row {row['id']}: label {row['label']!r} is not among those of training: {spec['labels']}")
    return codes.astype(np.int32)
