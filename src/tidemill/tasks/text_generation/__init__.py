"""A text in, what follows it out: a language model."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from tidemill.config import Expectation, Params, Validate
from tidemill.data import expectations as expect
from tidemill.data import text
from tidemill.data.pretrained import PinnedFile, pinned
from tidemill.tasks import Metrics, _behaviour
from tidemill.tasks.text_generation import generation
from tidemill.tokens import bpe
from tidemill.tokens.shards import Ragged

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

INPUTS = ("text",)
MAIN_METRIC = "compression"
MEANINGS = {
    "compression": "how many times smaller the texts become, coded by the model's probabilities: 8 bits by those of a byte",
    "bits_per_byte": "bits it takes to code a byte of text by the model's probabilities; 0 is best",
    "perplexity": "how many tokens it wavers between, as if all were equally likely; 1 is best, and it depends on the tokens",
}
BUCKET = None
PACKED = "tokens"
LOGITS = 2**26
"""Logits held at once where texts are scored."""

Behaviour = _behaviour.TextBehaviour
Options = generation.Sampling


class Tokenize(Params):
    """How texts become tokens."""

    tokenizer: PinnedFile | None = None
    """A folder or hub id with a byte-level `tokenizer.json` or OpenAI's `vocab.bpe`; null fits one to the texts."""
    vocabulary: int = Field(default=4096, ge=bpe.SMALLEST)
    """Number of token ids of a fitted tokenizer."""
    length: int = Field(default=256, ge=2)
    """Tokens the model sees at once."""


def normalise(rows: pd.DataFrame) -> pd.DataFrame:
    """Text as it is, but for line ends and control characters."""
    return rows.assign(text=rows["text"].fillna("").astype(str).map(text.tidied))


def clean(rows: pd.DataFrame) -> pd.DataFrame:
    """Normalise the text; rows without any get a reason."""
    rows = normalise(rows)
    rows = rows.assign(text=rows["text"].str.strip(), label=None)
    return rows.assign(reason=rows["reason"].mask(rows["reason"].isna() & rows["text"].eq(""), "no text"))


def content(rows: pd.DataFrame) -> "pd.Series[str]":
    """The text itself."""
    return rows["text"]


def near_keys(rows: pd.DataFrame, similarity: float) -> "pd.Series[str]":
    """Texts with nearly the same shingles."""
    return text.near_keys(rows["text"], similarity)


def expectations(params: Validate, tables: dict[str, pd.DataFrame]) -> list[Expectation]:
    """Text that is not empty."""
    return expect.text_expectations()


def fit(rows: Iterator[pd.DataFrame], params: Tokenize) -> "Tokenizer":
    """The tokenizer that is named, or one of the training texts."""
    if params.tokenizer is not None:
        return bpe.read(pinned(params.tokenizer, bpe.FILES))
    return bpe.fit((line for block in rows for line in block["text"]), params.vocabulary)


def specify(rows: Iterator[pd.DataFrame], params: Tokenize, tokenizer: "Tokenizer") -> dict[str, Any]:
    """Vocabulary size, tokens seen at once, and the id of the token between texts."""
    return {
        "vocabulary": tokenizer.get_vocab_size(),
        "length": params.length,
        "end": tokenizer.token_to_id(bpe.END),
    }


def encode(rows: pd.DataFrame, tokenizer: "Tokenizer", spec: dict[str, Any]) -> dict[str, Any]:
    """`tokens`, the end-of-text token before those of each text, and the `bytes` of each text in UTF-8."""
    texts = rows["text"].tolist()
    dtype = np.uint16 if spec["vocabulary"] <= 2**16 else np.uint32
    parts = [_led(bpe.encode(tokenizer, piece), spec["end"], dtype) for piece in bpe.pieces(texts)]
    return {"tokens": _joined(parts), "bytes": np.fromiter(map(_size, texts), np.int64, len(texts))}


def step(
    network: "torch.nn.Module", batch: dict[str, "torch.Tensor"], label_smoothing: float
) -> tuple["torch.Tensor", dict[str, "torch.Tensor"]]:
    """Cross-entropy, in nats a token, of each token of the windows (rows, length + 1) by those before it."""
    from torch.nn import functional

    tokens = batch["tokens"]
    logits = network(tokens[:, :-1])
    loss = functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten(), label_smoothing=label_smoothing)
    return loss, {}


def outputs(network: "torch.nn.Module", batch: dict[str, "torch.Tensor"], spec: dict[str, Any]) -> dict[str, Any]:
    """Of each text its tokens, bytes, and its negative log-likelihood `nll` in nats."""
    tokens, lengths = batch["tokens"], batch["tokens_length"]
    nll = _negative_log_likelihood(network, tokens, lengths, spec)
    return {"tokens": (lengths - 1).numpy(), "bytes": batch["bytes"].numpy(), "nll": nll.numpy()}


def respond(
    network: "torch.nn.Module",
    tokenizer: "Tokenizer",
    rows: pd.DataFrame,
    spec: dict[str, Any],
    options: Options,
) -> pd.DataFrame:
    """What follows each text: the continuation, the mean probability of its tokens, and that of each."""
    found = [generation.generated(network, tokenizer, prompt, spec, options) for prompt in rows["text"]]
    return pd.DataFrame(
        {
            "prediction": [one.text for one in found],
            "confidence": [float(np.mean(one.probabilities)) if one.probabilities else 1.0 for one in found],
            "probabilities": [one.probabilities for one in found],
        }
    )


def stream(
    network: "torch.nn.Module", tokenizer: "Tokenizer", text: str, spec: dict[str, Any], options: Options
) -> Iterator[str]:
    """What follows a text, each piece as soon as it is certain."""
    for piece in generation.stream(network, tokenizer, text, spec, options):
        yield piece.text


def score(predictions: pd.DataFrame, spec: dict[str, Any]) -> pd.DataFrame:
    """The predictions with the `loss` of each text: bits per byte."""
    return predictions.assign(loss=predictions["nll"] / predictions["bytes"] / math.log(2))


def metrics(predictions: pd.DataFrame, spec: dict[str, Any]) -> Metrics:
    """Compression, bits per byte and, where tokens were counted, perplexity, of all texts as one."""
    sums = predictions[["nll", "bytes", "tokens"]].to_numpy(dtype=np.float64)

    def weighted(weights: NDArray[np.int64]) -> dict[str, float]:
        nll, size, tokens = weights @ sums
        bits = nll / math.log(2) / size
        return {"compression": 8 / bits, "bits_per_byte": bits, "perplexity": math.exp(nll / tokens)}

    return weighted


def plots(predictions: pd.DataFrame, spec: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """`surprise`: bytes and bits per byte, one row a text."""
    return {"surprise": pd.DataFrame({"bytes": predictions["bytes"], "bits_per_byte": predictions["loss"]})}


def baselines(train: pd.DataFrame, test: pd.DataFrame, spec: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """A file compressor, and an n-gram model of bytes."""
    from tidemill.tasks.text_generation import text_baselines

    return {"compressor": text_baselines.compressor(train, test), "n-gram": text_baselines.ngrams(train, test)}


def _size(line: str) -> int:
    """Bytes in UTF-8, which are as many as the characters where all of them are ASCII: Python knows without a look."""
    return len(line) if line.isascii() else len(line.encode())


def _led(texts: Ragged, first: int, dtype: type[np.unsignedinteger[Any]]) -> Ragged:
    """Each text with one token before it."""
    offsets = texts.offsets + np.arange(len(texts.offsets))
    own = np.ones(offsets[-1], np.bool_)
    own[offsets[:-1]] = False
    values = np.full(len(own), first, dtype)
    values[own] = texts.values
    return Ragged(values, offsets)


def _joined(parts: list[Ragged]) -> Ragged:
    offsets = np.cumsum(np.concatenate([[0], *(part.lengths for part in parts)]), dtype=np.int64)
    return Ragged(np.concatenate([part.values for part in parts]), offsets)


def _negative_log_likelihood(
    network: Any, tokens: "torch.Tensor", lengths: "torch.Tensor", spec: dict[str, Any]
) -> "torch.Tensor":
    """In nats, float64, of padded texts `(rows, longest)`.

    A text longer than the model sees at once is read in windows that share a half, so that each token but the first
    ones has at least half a window before it, and counts once.
    """
    import torch

    length, shared = spec["length"], spec["length"] // 2
    further = (lengths - 1 - length).clamp(min=0)
    counts = 1 + further.div(length - shared, rounding_mode="floor") + (further % (length - shared) > 0)
    rows = torch.arange(len(lengths)).repeat_interleave(counts)
    number = torch.arange(len(rows)) - (counts.cumsum(0) - counts)[rows]
    total = torch.zeros(len(lengths), dtype=torch.float64)
    at_once = max(1, LOGITS // (length * spec["vocabulary"]))
    for part in torch.split(torch.arange(len(rows)), at_once):
        start = number[part] * (length - shared)
        ends = torch.minimum(lengths[rows[part]], start + length + 1)
        place = start[:, None] + torch.arange(int((ends - start).max()))
        counted = (place < ends[:, None]) & (place > torch.where(start > 0, start + shared, 0)[:, None])
        window = tokens[rows[part][:, None], place.clamp(max=tokens.shape[1] - 1)]
        total.index_add_(0, rows[part], _surprise(network, window, counted[:, 1:]))
    return total


def _surprise(network: Any, window: "torch.Tensor", counted: "torch.Tensor") -> "torch.Tensor":
    """Of the tokens that count, by those before them, one sum a window."""
    from torch.nn import functional

    device = next(network.parameters()).device
    window = window.to(device)
    if window.shape[1] < 2:
        return counted.new_zeros(len(window)).double()
    logits = network(window[:, :-1]).float()
    each = functional.cross_entropy(logits.flatten(0, 1), window[:, 1:].flatten(), reduction="none")
    return (each.view(counted.shape).cpu() * counted).double().sum(dim=1)
