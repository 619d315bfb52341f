"""Networks. One package a model, named as `model.name` in `params.yaml`.

`__init__.py` has `Params`, what can be tuned, and imports nothing heavy; `network.py` has `build(params, spec)`, the
torch module for inputs as `spec` (`tokens.json`) describes them. Where the params can name `pretrained` weights, it also
has `load_pretrained(network, weights)` and, if their file is not `model.safetensors`, its names `PRETRAINED_FILES`. What several models share stands in a module whose name starts with an underscore.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

WEIGHTS, CONFIG, TOKENIZER = "model.safetensors", "config.json", "tokenizer.json"
"""The files of a model's folder; a model of pictures has no tokenizer."""


def build(params: Any, spec: dict[str, Any]) -> "nn.Module":
    """The network of a system, with fresh weights."""
    network: nn.Module = _network_module(params).build(params, spec)
    return network


def begin(params: Any, spec: dict[str, Any]) -> "nn.Module":
    """The network that a training starts from: fresh, or with the pretrained weights that the params name.

    Raises:
        TidemillError: these weights are not there, are not the pinned ones, or are of another model.
    """
    network = build(params, spec)
    if getattr(params, "pretrained", None) is not None:
        from tidemill.models import _pretrained

        module = _network_module(params)
        names = getattr(module, "PRETRAINED_FILES", ("model.safetensors",))
        module.load_pretrained(network, _pretrained.read(params.pretrained, names))
    return network


def params_of(config: dict[str, Any]) -> Any:
    """The params of a saved model, read back from its `config.json`."""
    return importlib.import_module(f"{__name__}.{config['name']}").Params.model_validate(config)


def _network_module(params: Any) -> Any:
    return importlib.import_module(f"{__name__}.{params.name}.network")
