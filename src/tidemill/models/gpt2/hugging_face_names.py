"""Hugging Face's names for the weights of the decoder, and their layout there."""

from collections.abc import Iterable, Mapping

import torch

PREFIX = "transformer."
OUTER = {"tokens": "wte", "places": "wpe", "norm": "ln_f"}
INNER = {
    "attention_norm": "ln_1",
    "attention.inputs": "attn.c_attn",
    "attention.output": "attn.c_proj",
    "feed_forward_norm": "ln_2",
    "feed_forward.inputs": "mlp.c_fc",
    "feed_forward.output": "mlp.c_proj",
}
LINEAR = tuple(f"{name}.weight" for name in INNER if not name.endswith("norm"))
"""Weights that are transposed there: inputs first, outputs second."""


def theirs(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return our weights as `GPT2LMHeadModel` names and stores them."""
    return {PREFIX + _name(name): _turned(name, value) for name, value in weights.items()}


def ours(weights: Mapping[str, torch.Tensor], names: Iterable[str]) -> dict[str, torch.Tensor]:
    """Return the weights of a `GPT2LMHeadModel` that have these names here.

    Raises:
        KeyError: one is missing.
    """
    found = {name.removeprefix(PREFIX): value for name, value in weights.items()}
    return {name: _turned(name, found[_name(name)]) for name in names}


def _name(name: str) -> str:
    """Return their name for ours: `h.0.attn.c_attn.weight` for `blocks.0.attention.inputs.weight`."""
    layer, _, kind = name.rpartition(".")
    if not name.startswith("blocks."):
        return f"{OUTER[layer]}.{kind}"
    _, number, part = layer.split(".", 2)
    return f"h.{number}.{INNER[part]}.{kind}"


def _turned(name: str, value: torch.Tensor) -> torch.Tensor:
    return value.T.contiguous() if name.endswith(LINEAR) else value.contiguous()
