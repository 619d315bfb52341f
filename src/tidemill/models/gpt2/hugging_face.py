"""The decoder's weights in the format of Hugging Face's `GPT2LMHeadModel`: `model.safetensors` and `config.json`."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from tidemill.errors import TidemillError
from tidemill.files import read_json, write_json
from tidemill.models.gpt2 import Params
from tidemill.models.gpt2.network import Decoder

WEIGHTS, CONFIG = "model.safetensors", "config.json"
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
"""Weights they keep transposed: inputs first, outputs second."""


def save(network: Decoder, folder: Path, end: int) -> None:
    """Write a folder that `GPT2LMHeadModel.from_pretrained` reads.

    Args:
        end: The id of the token between texts.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = {_their_name(name): _turned(name, value) for name, value in network.state_dict().items()}
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    write_json(folder / CONFIG, _config(network, end))


def load(folder: Path) -> Decoder:
    """The decoder of a folder that `GPT2LMHeadModel.save_pretrained` wrote.

    Raises:
        TidemillError: a file is missing, or the model is not a GPT-2 as published.
    """
    config = _read_config(folder)
    heads, layers = config["n_head"], config["n_layer"]
    params = Params(name="gpt2", width=config["n_embd"], heads=heads, layers=layers, dropout=config["resid_pdrop"])
    network = Decoder(params, config["vocab_size"], config["n_positions"])
    fill(network, load_file(folder / WEIGHTS))
    return network


def fill(network: Decoder, weights: dict[str, torch.Tensor]) -> None:
    """Give the network their weights; of the places those that it has.

    Raises:
        TidemillError: they are not those of a GPT-2 of this size.
    """
    theirs = {name.removeprefix(PREFIX): value for name, value in weights.items()}
    try:
        ours = {name: _turned(name, theirs[_their_name(name)[len(PREFIX) :]]) for name in network.state_dict()}
        ours["places.weight"] = ours["places.weight"][: network.length]
        network.load_state_dict(ours)
    except (KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise TidemillError(f"these are not the weights of a GPT-2 of this size: {reason}") from error


def _config(network: Decoder, end: int) -> dict[str, Any]:
    params = network.params
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "activation_function": "gelu_new",
        "vocab_size": network.tokens.num_embeddings,
        "n_positions": network.length,
        "n_embd": params.width,
        "n_head": params.heads,
        "n_layer": params.layers,
        "n_inner": None,
        "layer_norm_epsilon": network.norm.eps,
        "initializer_range": 0.02,
        **dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), params.dropout),
        **dict.fromkeys(("bos_token_id", "eos_token_id"), end),
    }


def _read_config(folder: Path) -> dict[str, Any]:
    if not (folder / CONFIG).exists() or not (folder / WEIGHTS).exists():
        raise TidemillError(f"{folder} is no model in Hugging Face's format: it has no {CONFIG} with {WEIGHTS}")
    config: dict[str, Any] = read_json(folder / CONFIG)
    published = {"model_type": "gpt2", "activation_function": "gelu_new", "n_inner": None}
    other = [name for name, value in published.items() if config.get(name, value) != value]
    if other:
        raise TidemillError(f"{folder / CONFIG}: {other[0]} {config[other[0]]!r} is not that of GPT-2 as published")
    return {"resid_pdrop": 0.1} | config


def _their_name(name: str) -> str:
    """`blocks.0.attention.inputs.weight` is `transformer.h.0.attn.c_attn.weight`."""
    layer, _, kind = name.rpartition(".")
    if not name.startswith("blocks."):
        return f"{PREFIX}{OUTER[layer]}.{kind}"
    _, number, part = layer.split(".", 2)
    return f"{PREFIX}h.{number}.{INNER[part]}.{kind}"


def _turned(name: str, value: torch.Tensor) -> torch.Tensor:
    return value.T.contiguous() if name.endswith(LINEAR) else value.contiguous()
