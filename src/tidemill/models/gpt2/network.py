"""The decoder as a torch module, in float32 the same as Hugging Face's `GPT2LMHeadModel`.

Shapes: B rows, T tokens, N heads, D width, V vocabulary.
"""

import math
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from tidemill.core.errors import TidemillError
from tidemill.core.spec import Spec
from tidemill.models.common.attention import attend
from tidemill.models.gpt2 import Params
from tidemill.models.gpt2.hugging_face_names import ours

PRETRAINED_FILES = ("model.safetensors",)
solve = None
explain = None
DEVIATION = 0.02
"""Standard deviation of fresh weights."""


def build(params: Params, spec: Spec) -> "Decoder":
    """Return a network from tokens (B, T) to logits of the token after each (B, T, V)."""
    return Decoder(params, spec["vocabulary"], spec["length"])


def load_pretrained(network: "Decoder", weights: dict[str, torch.Tensor]) -> None:
    """Load the weights of a GPT-2 of the same size, as Hugging Face names them; of the positions, those that there are.

    Raises:
        TidemillError: they are not those of a GPT-2 of this size.
    """
    try:
        found = ours(weights, network.state_dict())
        found["places.weight"] = found["places.weight"][: network.length]
        network.load_state_dict(found)
    except (KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise TidemillError(f"these are not the weights of a GPT-2 of this size: {reason}") from error


class Cache:
    """Keys and values of the tokens so far, so that the next token takes one step instead of all again."""

    def __init__(self, network: "Decoder", rows: int) -> None:
        shape = (rows, network.params.heads, network.length, network.params.width // network.params.heads)
        like = network.tokens.weight
        self.layers = [(like.new_empty(shape), like.new_empty(shape)) for _ in network.blocks]
        self.filled = 0

    def extended(self, layer: int, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Add new keys and values (B, N, T, D / N) to those of a layer, and return all of them."""
        end = self.filled + keys.shape[2]
        for kept, new in zip(self.layers[layer], (keys, values), strict=True):
            kept[:, :, self.filled : end] = new
        old_keys, old_values = self.layers[layer]
        return old_keys[:, :, :end], old_values[:, :, :end]


class Decoder(nn.Module):
    """Embedded tokens and positions, blocks of attention and feed-forward layers, and the token embedding as output.

    The output layer shares the token embedding's weights. Fresh weights are normal with deviation 0.02, those that
    add to the residual path scaled by 1 / sqrt(2 · layers), as published.
    """

    def __init__(self, params: Params, vocabulary: int, length: int) -> None:
        super().__init__()
        self.params, self.length = params, length
        self.tokens = nn.Embedding(vocabulary, params.width)
        self.places = nn.Embedding(length, params.width)
        self.dropout = nn.Dropout(params.dropout)
        self.blocks = nn.ModuleList(Block(params, layer) for layer in range(params.layers))
        self.norm = nn.LayerNorm(params.width)
        self._compiled: Callable[..., torch.Tensor] | None = None
        self._initialise()

    def forward(self, tokens: torch.Tensor, cache: Cache | None = None) -> torch.Tensor:
        """Return logits (B, T, V) of the token after each of the tokens (B, T).

        Args:
            tokens: at most `length`, together with those in the cache.
            cache: holds the tokens before these, and takes these in.
        """
        read = self._training_read() if self.training and self.params.compile else self._read
        return functional.linear(read(tokens, cache), self.tokens.weight)

    @property
    def flops_per_token(self) -> int:
        """Floating-point operations per token of a training step, forward and backward.

        6 * weights + 12 * layers * width * length: Chowdhery et al., PaLM, 2022, appendix B.
        """
        weights = sum(weights.numel() for weights in self.parameters()) - self.places.weight.numel()
        return 6 * weights + 12 * self.params.layers * self.params.width * self.length

    def cache(self, rows: int) -> Cache:
        """Return an empty cache for a number of texts."""
        return Cache(self, rows)

    def _read(self, tokens: torch.Tensor, cache: Cache | None) -> torch.Tensor:
        """Return states (B, T, D) after the last block."""
        start = 0 if cache is None else cache.filled
        places = torch.arange(start, start + tokens.shape[1], device=tokens.device)
        states = self.dropout(self.tokens(tokens) + self.places(places))
        for block in self.blocks:
            states = block(states, cache)
        if cache is not None:
            cache.filled += tokens.shape[1]
        normed: torch.Tensor = self.norm(states)
        return normed

    def _training_read(self) -> Callable[..., torch.Tensor]:
        """Compile at the first training step: a model that only predicts never pays for it."""
        if self._compiled is None:
            self._compiled = torch.compile(self._read)
        return self._compiled

    def _initialise(self) -> None:
        for name, weights in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(weights)
            elif weights.dim() == 2:
                residual = name.endswith(("attention.output.weight", "feed_forward.output.weight"))
                nn.init.normal_(weights, std=DEVIATION / math.sqrt(2 * self.params.layers) if residual else DEVIATION)


class Block(nn.Module):
    """Attention and feed-forward layer, each with normalised input and a residual connection."""

    def __init__(self, params: Params, layer: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(params.width)
        self.attention = Attention(params, layer)
        self.feed_forward_norm = nn.LayerNorm(params.width)
        self.feed_forward = FeedForward(params)

    def forward(self, states: torch.Tensor, cache: Cache | None) -> torch.Tensor:
        """Return states (B, T, D) for such."""
        states = states + self.attention(self.attention_norm(states), cache)
        added: torch.Tensor = states + self.feed_forward(self.feed_forward_norm(states))
        return added


class Attention(nn.Module):
    """Causal multi-head self-attention."""

    def __init__(self, params: Params, layer: int) -> None:
        super().__init__()
        self.layer, self.heads, self.share = layer, params.heads, params.dropout
        self.inputs = nn.Linear(params.width, 3 * params.width)
        self.output = nn.Linear(params.width, params.width)
        self.dropout = nn.Dropout(params.dropout)

    def forward(self, states: torch.Tensor, cache: Cache | None) -> torch.Tensor:
        """Return states (B, T, D) for such, each position attending to those up to it."""
        rows, places, width = states.shape
        by_head = self.inputs(states).view(rows, places, 3, self.heads, width // self.heads)
        queries, keys, values = by_head.permute(2, 0, 3, 1, 4)
        if cache is not None:
            keys, values = cache.extended(self.layer, keys, values)
        mixed = attend(
            queries,
            keys,
            values,
            mask=_seen(places, keys.shape[2], states.device),
            dropout=self.share if self.training else 0.0,
            causal=places == keys.shape[2],
        )
        merged = mixed.transpose(1, 2).reshape(rows, places, width)
        output: torch.Tensor = self.dropout(self.output(merged))
        return output


class FeedForward(nn.Module):
    """Two linear layers, four times as wide between, with the tanh approximation of GELU."""

    def __init__(self, params: Params) -> None:
        super().__init__()
        self.inputs = nn.Linear(params.width, 4 * params.width)
        self.output = nn.Linear(4 * params.width, params.width)
        self.dropout = nn.Dropout(params.dropout)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Return states (B, T, D) for such."""
        output: torch.Tensor = self.dropout(self.output(functional.gelu(self.inputs(states), approximate="tanh")))
        return output


def _seen(places: int, total: int, device: torch.device) -> torch.Tensor | None:
    """Return which keys each new position attends to (places, total); None where it is all, or a flag of torch does."""
    if places in (1, total):
        return None
    return torch.ones(places, total, dtype=torch.bool, device=device).tril(total - places)
