"""Encoding: texts to tokens, with the end-of-text token between them, or conversations by a chat template."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from tidemill.core import conversations
from tidemill.core.errors import TidemillError
from tidemill.core.params import Params
from tidemill.core.pinned import PinnedFile, pinned
from tidemill.core.spec import Kind, Spec
from tidemill.tasks.common.encoding import token_dtype
from tidemill.tokens import bpe, chats, tokenizers
from tidemill.tokens.chats import Chat
from tidemill.tokens.shards import Ragged

if TYPE_CHECKING:
    from tokenizers import Tokenizer

KINDS: tuple[Kind, ...] = (("tokens", "next token"),)


class Tokenize(Params):
    """How texts become tokens."""

    tokenizer: PinnedFile | None = None
    """A folder or hub id with a `tokenizer.json` or OpenAI's `vocab.bpe`; null fits one to the texts."""
    end: str = bpe.END
    """The token between two texts, or after a response, where a tokenizer is named: one that it has."""
    chat: Literal["plain"] | Chat | None = None
    """How conversations become one text each: by the chat template of a checkpoint, or `plain`, the role on a line and the
    content below it. Only responses are learned. null for texts that are no conversations."""
    vocabulary: int = Field(default=4096, ge=bpe.SMALLEST)
    """Number of token ids of a fitted tokenizer."""
    length: int = Field(default=256, ge=2)
    """Tokens of the context that the model sees at once."""


def kind(params: Tokenize) -> Kind:
    """Return the one kind of the task."""
    return KINDS[0]


def fit(blocks: Iterator[pd.DataFrame], params: Tokenize) -> "Tokenizer":
    """Return the tokenizer that the params name, or one fitted to the training texts.

    Raises:
        TidemillError: the named tokenizer is missing, damaged or not the pinned one.
    """
    if params.tokenizer is not None:
        return bpe.read(pinned(params.tokenizer, bpe.FILES), params.end)
    return bpe.fit((text for block in blocks for text in block["text"]), params.vocabulary)


def specify(blocks: Iterator[pd.DataFrame], params: Tokenize, tokenizer: "Tokenizer") -> Spec:
    """Return vocabulary size, length of the context, the id of the token between texts and, for conversations, the template.

    Raises:
        TidemillError: there are conversations and no template, or one that does not fit.
    """
    name = bpe.END if params.tokenizer is None else params.end
    end = tokenizer.token_to_id(name)
    assert end is not None, "bpe gives no tokenizer without it"
    spec: Spec = {"vocabulary": tokenizers.size(tokenizer), "length": params.length, "end": end}
    if params.chat is None:
        first = next(blocks, pd.DataFrame({"text": []}))["text"]
        if len(first) and first.map(conversations.read).notna().all():
            raise TidemillError("the rows are conversations: say how they are written, e.g. `tokenize.chat: plain`")
        return spec
    template = chats.plain(name) if params.chat == "plain" else chats.published(params.chat, name)
    chats.check(tokenizer, template, end)
    return {**spec, "chat": template}


def encode(rows: pd.DataFrame, tokenizer: "Tokenizer", spec: Spec) -> dict[str, Any]:
    """Return ragged `tokens`, the end-of-text token before those of each text, and `bytes` (B,) of each text in UTF-8.

    Of conversations, the `tokens` of the template, whether each is `counted` as part of a response, and the `bytes` of the
    responses.

    Raises:
        TidemillError: a conversation has no response, or the template cannot write it.
    """
    texts = rows["text"].tolist()
    if "chat" in spec:
        return _of_conversations(texts, tokenizer, spec)
    dtype = token_dtype(spec)
    parts = [_led(bpe.encode(tokenizer, piece), spec["end"], dtype) for piece in bpe.pieces(texts)]
    return {"tokens": _joined(parts), "bytes": np.fromiter(map(_size, texts), np.int64, len(texts))}


def _of_conversations(texts: list[str], tokenizer: "Tokenizer", spec: Spec) -> dict[str, Any]:
    found = [chats.encoded(tokenizer, conversations.whole(text), spec["chat"], spec["end"]) for text in texts]
    sizes = [sum(_size(content) for content, said in conversations.parts(text) if said) for text in texts]
    return {
        "tokens": [tokens.astype(token_dtype(spec)) for tokens, _ in found],
        "counted": [counted for _, counted in found],
        "bytes": np.array(sizes, np.int64),
    }


def _size(text: str) -> int:
    """Return the bytes of a text in UTF-8; Python stores whether it is ASCII, so that most need not be encoded."""
    return len(text) if text.isascii() else len(text.encode())


def _led(texts: Ragged, first: int, dtype: type[np.unsignedinteger[Any]]) -> Ragged:
    """Put one token before those of each text."""
    offsets = texts.offsets + np.arange(len(texts.offsets))
    own = np.ones(offsets[-1], np.bool_)
    own[offsets[:-1]] = False
    values = np.full(len(own), first, dtype)
    values[own] = texts.values
    return Ragged(values, offsets)


def _joined(parts: list[Ragged]) -> Ragged:
    offsets = np.cumsum(np.concatenate([[0], *(part.lengths for part in parts)]), dtype=np.int64)
    return Ragged(np.concatenate([part.values for part in parts]), offsets)
