"""A decoder of the library: logits of the next token, with a cache of the tokens before."""

import inspect
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from torch import nn

from tidemill.models.transformers.wrapped import Wrapped


@dataclass
class Cache:
    """The tokens so far, or what the library keeps of them."""

    theirs: Any
    """Keys and values; None for an architecture that keeps something else."""
    tokens: torch.Tensor
    """Those so far (B, T), where nothing is kept of them."""


class Decoder(Wrapped):
    """Logits of the token after each."""

    def forward(self, tokens: torch.Tensor, cache: Cache | None = None) -> torch.Tensor:
        """Return logits (B, T, V) of the token after each of the tokens (B, T).

        Args:
            cache: holds the tokens before these, and takes these in.
        """
        if cache is not None and cache.theirs is not None:
            after: torch.Tensor = self.model(input_ids=tokens, past_key_values=cache.theirs, use_cache=True).logits
            return after
        read = tokens if cache is None else torch.cat([cache.tokens, tokens], dim=1)
        if cache is not None:
            cache.tokens = read
        logits: torch.Tensor = self.model(input_ids=read, use_cache=False).logits
        return logits[:, -tokens.shape[1] :]

    def heads(self) -> dict[str, nn.Module]:
        """Return none: the output layer of a language model is as large as its vocabulary, and stays as it is."""
        return {}

    def cache(self, rows: int) -> Cache:
        """Return an empty cache for a number of texts."""
        weight = next(self.parameters())
        empty = torch.empty(rows, 0, dtype=torch.long, device=weight.device)
        caches = "past_key_values" in inspect.signature(self.theirs.forward).parameters
        return Cache(transformers.DynamicCache(config=self.config) if caches else None, empty)
