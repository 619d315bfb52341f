"""Byte-level byte-pair encoding, as GPT-2's: any text becomes tokens and comes back unchanged.

Radford et al., Language Models are Unsupervised Multitask Learners, 2019, section 2.2.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from tidemill.core.errors import TidemillError
from tidemill.tokens.shards import Ragged

END = "<|endoftext|>"
"""The token between texts. In a text these characters are text like any other."""
PIECE = 2**18
"""Characters encoded at once."""
SMALLEST = 257
"""Fewest token ids: every byte, and the end of text."""
FILES = ("tokenizer.json", "vocab.bpe")
"""A tokenizer as Hugging Face's library saves it, and as OpenAI published that of GPT-2."""
PROBE = f"It's 1,234 o'clock,\r\n\n\t naïve 中文字符，🙂👩‍👩‍👧 e\u0301 \u00a0\u3000 {END} don't  \u202eअनु\x00  "
"""A text on which encoders that differ at all are likely to differ."""


def read(file: Path, end: str = END) -> Tokenizer:
    """Read the tokenizer of a standard `tokenizer.json`, or of OpenAI's `vocab.bpe`. It neither pads nor truncates.

    Args:
        end: the token between texts.

    Raises:
        TidemillError: the file is damaged, or there is no such token.
    """
    try:
        tokenizer = _openai(file) if file.name == FILES[1] else Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises the bare class
        raise TidemillError(f"{file} holds no tokenizer that can be read: {error}") from error
    if tokenizer.token_to_id(end) is None:
        raise TidemillError(
            f"{file}: the tokenizer has no {end}, which stands between texts; name one that it has in tokenize.end: "
            f"{', '.join(token.content for token in tokenizer.get_added_tokens_decoder().values()) or 'it has none'}"
        )
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def fit(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """Return a tokenizer of `vocabulary` ids with the most frequent merges of the texts; `<|endoftext|>` is id 0."""
    tokenizer = _byte_level(models.BPE())
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=[END], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def pieces(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the texts in groups of about `PIECE` characters: encoding takes many times the memory of its text."""
    groups = np.cumsum([len(text) for text in texts]) // PIECE
    edges = [0, *(np.flatnonzero(np.diff(groups)) + 1), len(texts)]
    return (texts[start:end] for start, end in pairwise(edges))


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> Ragged:
    """Return the token ids of each text, uint32, in one flat array."""
    fast = _fast(tokenizer)
    if fast is not None:
        ids, offsets = fast.encode_batch_flat(list(texts), split_special_tokens=True)
        return Ragged(np.frombuffer(ids, np.uint32), np.frombuffer(offsets, np.uint64).astype(np.int64))
    tokenizer.encode_special_tokens = True
    codes = [code.ids for code in tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]
    offsets = np.cumsum([0, *map(len, codes)], dtype=np.int64)
    return Ragged(np.fromiter((i for ids in codes for i in ids), np.uint32, int(offsets[-1])), offsets)


@lru_cache(maxsize=2)
def _fast(tokenizer: Tokenizer) -> Any:
    """Return the same tokenizer in `fastokens`, many times as fast; None, with one message, where there is none."""
    try:
        import fastokens
    except ImportError:
        print("fastokens is not installed: texts are encoded by tokenizers, at a fraction of the speed")
        return None
    try:
        fast = fastokens.Tokenizer.from_json_str(tokenizer.to_str())
    except ValueError as error:
        print(f"fastokens has no such tokenizer ({error}): texts are encoded by tokenizers, at a fraction of the speed")
        return None
    tokenizer.encode_special_tokens = True
    if fast.encode(PROBE, split_special_tokens=True).ids == tokenizer.encode(PROBE, add_special_tokens=False).ids:
        return fast
    print("fastokens differs from this tokenizer: texts are encoded by tokenizers, at a fraction of the speed")
    return None


def _openai(file: Path) -> Tokenizer:
    """Return the tokenizer of OpenAI's merges, a line each after a comment; their `encoder.json` follows from these.

    Ids number the bytes, those first that print as themselves, then the merges, then the end of text.
    """
    merges = [line for line in file.read_text(encoding="utf-8").split("\n")[1:] if line]
    printed = [*range(33, 127), *range(161, 173), *range(174, 256)]
    alphabet = [chr(byte) for byte in printed] + [chr(256 + number) for number in range(256 - len(printed))]
    ids = [*alphabet, *(line.replace(" ", "") for line in merges), END]
    pairs = [(first, second) for first, second in (line.split(" ") for line in merges)]
    tokenizer = _byte_level(models.BPE(vocab={token: number for number, token in enumerate(ids)}, merges=pairs))
    tokenizer.add_special_tokens([END])
    return tokenizer


def _byte_level(model: Any) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer
