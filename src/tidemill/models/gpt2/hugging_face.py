"""The decoder's weights in the format of Hugging Face's `GPT2LMHeadModel`: `model.safetensors` and `config.json`."""

from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from tidemill.core.errors import TidemillError
from tidemill.core.files import read_json, write_json
from tidemill.models.gpt2 import Params
from tidemill.models.gpt2.hugging_face_names import theirs
from tidemill.models.gpt2.network import Decoder, load_pretrained

WEIGHTS, CONFIG = "model.safetensors", "config.json"


def save(network: Decoder, folder: Path, end: int) -> None:
    """Write a folder that `GPT2LMHeadModel.from_pretrained` reads.

    Args:
        end: the id of the token between texts.
    """
    folder.mkdir(parents=True, exist_ok=True)
    save_file(theirs(network.state_dict()), folder / WEIGHTS, metadata={"format": "pt"})
    write_json(folder / CONFIG, _config(network, end))


def load(folder: Path) -> Decoder:
    """Return the decoder in a folder that `GPT2LMHeadModel.save_pretrained` wrote.

    Raises:
        TidemillError: a file is missing, or the model is not a GPT-2 as published.
    """
    config = _read_config(folder)
    heads, layers = config["n_head"], config["n_layer"]
    params = Params(name="gpt2", width=config["n_embd"], heads=heads, layers=layers, dropout=config["resid_pdrop"])
    network = Decoder(params, config["vocab_size"], config["n_positions"])
    load_pretrained(network, load_file(folder / WEIGHTS))
    return network


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
