"""Encoding of a task: rows to the numbers of a packed shard, and the spec that tells a model their shape."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, Self

import numpy as np
import pandas as pd
from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from tidemill.core import plugins
from tidemill.core.errors import TidemillError
from tidemill.core.files import write_json
from tidemill.core.labels import in_order
from tidemill.core.params import Params
from tidemill.core.pinned import PinnedFile
from tidemill.core.spec import Kind, Spec
from tidemill.core.tables import NOT_INPUTS, blocks
from tidemill.tokens import columns, ngrams, tokenizers
from tidemill.tokens.ngrams import NGrams
from tidemill.tokens.shards import Shards, ShardWriter

if TYPE_CHECKING:
    from tokenizers import Tokenizer


Range = Annotated[list[int], Field(min_length=2, max_length=2)]
MOST_NGRAMS = 300_000
OF_TOKENS, OF_NGRAMS = {"tokenizer", "length"}, {"words", "characters", "minimum_count", "hashed"}
"""Params of `TokenizeText` that only one of the two has."""
NUMBER_KINDS: tuple[Kind, ...] = (("tokens", "number"), ("n-grams", "number"))
"""What a task that predicts a number of a text may ask of a model."""
TEXT_KINDS: tuple[Kind, ...] = (("tokens", "labels"), ("n-grams", "labels"))
"""What a task that gives labels to texts may ask of a model."""


class EncodingPart(Protocol):
    """What `tasks/<task>/encoding.py` defines."""

    KINDS: tuple[Kind, ...]
    """What the task may ask of a model, all with the same output; a model that can do one lists it in `ACCEPTS`."""
    Tokenize: type[Params]
    """Params of the tokenize stage."""

    def kind(self, params: Any) -> Kind:
        """Return what the task asks of a model with these params of the tokenize stage."""

    def fit(self, blocks: Iterator[pd.DataFrame], params: Any) -> "Tokenizer | NGrams | None":
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


def write_tokens(task: str, params: Any, tables: Mapping[str, Path], folder: Path) -> Spec:
    """Write the packed shards of each split, `tokens.json` and, where the task has one, `tokenizer.json`; return the spec.

    Args:
        params: the `Tokenize` block of the task.
        tables: the ingested table of each split.

    Raises:
        TidemillError: nothing can be learned from the training rows, or a row cannot be encoded.
    """
    part = of(task)
    tokenizer = part.fit(blocks(tables["train"]), params)
    spec = part.specify(blocks(tables["train"]), params, tokenizer)
    splits = {split: _pack(part, table, tokenizer, spec, folder / split) for split, table in tables.items()}
    if tokenizer is not None:
        tokenizer.save(str(folder / "tokenizer.json"))
    spec = {"task": task, **spec, "tokenize": params.model_dump(), "splits": splits}
    write_json(folder / "tokens.json", spec)
    return spec


def _pack(part: EncodingPart, table: Path, tokenizer: Any, spec: Spec, folder: Path) -> dict[str, Any]:
    with ShardWriter(folder) as writer:
        for rows in blocks(table):
            writer.append(part.encode(rows, tokenizer, spec))
    shards = Shards(folder)
    values = {column: header["values"] for column, header in shards.headers.items()}
    return {"rows": len(shards), "values": values, "sha256": shards.sha256}


class TokenizeText(Params):
    """How a text that gets labels becomes token ids, or n-grams with their weights."""

    unit: tokenizers.Unit | Literal["ngrams"] = "words"
    """What the vocabulary of the training texts is made of: tokens of one kind, in their order, or n-grams, without one."""
    tokenizer: PinnedFile | None = None
    """Folder or hub id of a tokenizer to take, any `tokenizer.json` or BERT's `vocab.txt`, instead of a vocabulary of the
    training texts."""
    vocabulary: int = Field(default=10000, ge=3)
    """Number of token ids, `[PAD]` and `[UNK]` among them; the rarest units become `[UNK]`. Of n-grams, how many are
    kept, those in the most texts first; 300,000 unless given."""
    length: int = Field(default=100, ge=1)
    """Tokens of a text that are kept. N-grams are taken from the whole text."""
    words: Range | None = None
    """N-grams only: the fewest and the most words of one; null for none of words. A Chinese character is a word."""
    characters: Range | None = None
    """N-grams only: the fewest and the most characters of one, none of them across white space; null for none."""
    minimum_count: int = Field(default=2, ge=1)
    """N-grams only: training texts that one must occur in to be kept."""
    hashed: bool = False
    """N-grams only: whether a hash gives an n-gram its id, out of `vocabulary` of them. Nothing need be counted or kept,
    but n-grams can share an id, and none can be named."""

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_ngrams(cls, given: Any) -> Any:
        is_block = isinstance(given, dict) and given.get("unit") == "ngrams"
        return {"vocabulary": MOST_NGRAMS, **given} if is_block else given

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if misplaced := sorted(self._of_the_other_kind & self.model_fields_set):
            kinds = ("tokens", "n-grams") if self.unit == "ngrams" else ("n-grams", "tokens")
            raise ValueError(f"{misplaced[0]} is a param of {kinds[0]}, but unit {self.unit} makes {kinds[1]}")
        if self.unit == "ngrams" and not (self.words or self.characters):
            raise ValueError("unit ngrams needs words, characters or both, e.g. characters: [1, 4]")
        if any(lengths and not 1 <= lengths[0] <= lengths[1] for lengths in (self.words, self.characters)):
            raise ValueError("words and characters are each the fewest and the most of an n-gram, e.g. [1, 2]")
        return self

    @model_serializer(mode="wrap")
    def _without_the_other_kind(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what is not read, so that no record names it."""
        return {name: value for name, value in whole(self).items() if name not in self._of_the_other_kind}

    @property
    def _of_the_other_kind(self) -> set[str]:
        return OF_TOKENS if self.unit == "ngrams" else OF_NGRAMS


def kind_of_text(params: TokenizeText) -> Kind:
    """Return what a task that gives labels to texts asks of a model."""
    return ("n-grams" if params.unit == "ngrams" else "tokens", "labels")


def fit_text(blocks: Iterator[pd.DataFrame], params: TokenizeText) -> "Tokenizer | NGrams":
    """Return the tokenizer that the params name, or one with a vocabulary of the training texts.

    Raises:
        TidemillError: the named tokenizer is missing, damaged or not the pinned one; or no n-gram is frequent enough.
    """
    texts = (text for block in blocks for text in block["text"])
    if params.unit == "ngrams":
        return ngrams.fit(
            texts, params.words, params.characters, params.vocabulary, params.minimum_count, params.hashed
        )
    if params.tokenizer is not None:
        tokenizer = tokenizers.read(params.tokenizer)
    else:
        tokenizer = tokenizers.fit_vocabulary(texts, params.unit, params.vocabulary)
    tokenizer.enable_truncation(params.length)
    return tokenizer


def specify_text(params: TokenizeText, tokenizer: "Tokenizer | NGrams") -> Spec:
    """Return the part of a spec that texts take: the number of token ids or n-grams and, of tokens, the length."""
    if isinstance(tokenizer, NGrams):
        return {"vocabulary": tokenizer.get_vocab_size()}
    return {"vocabulary": tokenizers.size(tokenizer), "length": params.length}


def encode_text(rows: pd.DataFrame, tokenizer: "Tokenizer | NGrams", spec: Spec) -> dict[str, Any]:
    """Return the columns of the texts: ragged `tokens`, or ragged `ngrams` and `weights`.

    A text without tokens becomes one `[UNK]`, or token 0 where there is none.
    """
    texts = rows["text"].tolist()
    if isinstance(tokenizer, NGrams):
        return {**tokenizer.encode(texts)}
    dtype = token_dtype(spec)
    encodings = tokenizer.encode_batch_fast(texts)
    unknown = [tokenizer.token_to_id(tokenizers.UNKNOWN) or 0]
    return {"tokens": [np.array(encoding.ids or unknown, dtype) for encoding in encodings]}


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


class TokenizeColumns(Params):
    """How the columns of a table become numbers: what stands in them decides, unless they are named here."""

    categories: list[str] = Field(default=[])
    """Columns of numbers that are names of something, as postal codes are."""
    values: int = Field(default=100, ge=1)
    """Values of a category that are told apart, the commonest first; others count as one."""
    minimum_count: int = Field(default=2, ge=1)
    """Training rows that a value must occur in to be told apart."""


def fit_none(blocks: Iterator[pd.DataFrame], params: TokenizeColumns) -> None:
    """Return None: the encoding of columns is part of the spec."""


def specify_columns(
    blocks: Iterable[pd.DataFrame], params: TokenizeColumns, target: str, keep: Callable[[Iterable[Any]], None]
) -> Spec:
    """Return the part of a spec that the columns of a table take: how each is encoded, and which tell no rows apart.

    Args:
        keep: called with the targets of each block, since the blocks can be read only once.

    Raises:
        TidemillError: none of the columns tells rows apart, or one that the params name is not there.
    """

    def passed_on() -> Iterator[pd.DataFrame]:
        for block in blocks:
            keep(block[target])
            yield block

    left_out = {*NOT_INPUTS, target}
    found, constant = columns.fit(passed_on(), left_out, params.categories, params.values, params.minimum_count)
    return {"columns": found, "constant": constant}


def specify_number(values: Iterable[float]) -> Spec:
    """Return the part of a spec that a number to be predicted takes: mean, deviation, and one output.

    Raises:
        TidemillError: all are the same.
    """
    known = np.fromiter(values, np.float64)
    if len(known) == 0 or known.min() == known.max():
        raise TidemillError(f"the target of all {len(known)} training rows is the same: there is nothing to learn")
    return {"target": {"mean": float(known.mean()), "deviation": float(known.std())}, "outputs": 1}


def encode_number(rows: pd.DataFrame, spec: Spec) -> np.ndarray:
    """Return the targets in standard deviations from the mean, float32 (B,)."""
    target = spec["target"]
    return ((rows["target"].to_numpy(np.float64) - target["mean"]) / target["deviation"]).astype(np.float32)


class TokenizePictures(Params):
    """How a picture becomes pixels."""

    size: list[int] = Field(default=[224, 224], min_length=2, max_length=2)
    """Height and width in pixels; a picture of another size is scaled, and its edges are cut where its sides differ."""
    channels: Literal[1, 3] = 3
    """1 for grey; 3 for red, green and blue."""
    preprocessor: PinnedFile | None = None
    """Folder or hub id with the `preprocessor_config.json` of a checkpoint, which then decides size, cut, resampling and,
    for the model `transformers`, mean and deviation, in three channels: `size` and `channels` do not count."""


def specify_pictures(params: TokenizePictures) -> Spec:
    """Return the part of a spec that pictures take: height, width, channels, and how a preprocessor prepares them.

    Raises:
        TidemillError: the preprocessor is missing, is not the pinned one, or does more than to scale pictures and their
            values.
    """
    from tidemill.tokens import preprocessors

    if params.preprocessor is None:
        return {"shape": [*params.size, params.channels]}
    document = preprocessors.read(params.preprocessor)
    preprocessor = preprocessors.of(document)
    mean, deviation = preprocessor.normalisation()
    return {"shape": preprocessor.shape(), "preprocessor": document, "mean": mean, "deviation": deviation}


def encode_pictures(rows: pd.DataFrame, spec: Spec) -> dict[str, Any]:
    """Return `pixels`, uint8 (B, H, W, C).

    Raises:
        ValueError: a picture cannot be read.
    """
    from tidemill.tokens import preprocessors
    from tidemill.tokens.pixels import stacked

    preprocessor = preprocessors.of(spec["preprocessor"]) if "preprocessor" in spec else None
    return {"pixels": stacked(rows["image"], spec["shape"], preprocessor)}
