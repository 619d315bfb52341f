"""From the params of a model to its network, and the files of a model's folder.

A model is a package `models/<model>`, named as `model.name` in `params.yaml`. Its `__init__.py` has `Params`, what can be
tuned, and `ACCEPTS`, the kinds of task that it fits, and imports nothing heavy; its `network.py` is a `NetworkModule`.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from tidemill.core import plugins
from tidemill.core.spec import Spec

if TYPE_CHECKING:
    import torch
    from torch import nn

WEIGHTS, CONFIG, TOKENIZER = "model.safetensors", "config.json", "tokenizer.json"
"""The files of a model's folder; a model of pictures has no tokenizer."""


class NetworkModule(Protocol):
    """What `models/<model>/network.py` defines."""

    PRETRAINED_FILES: tuple[str, ...]
    """Files that pretrained weights may stand in, the first that is there being read; empty where the params name no
    `pretrained` weights."""
    load_pretrained: "Callable[[Any, dict[str, torch.Tensor]], None] | None"
    """Takes a network and weights by name, and puts them into the network; None where there are none to take."""

    def build(self, params: Any, spec: Spec) -> "nn.Module":
        """Return the torch module for inputs as the spec describes them, with fresh weights.

        Args:
            params: the `Params` of the model's package.
        """


def build(params: Any, spec: Spec) -> "nn.Module":
    """Return the network of a model with fresh weights."""
    return _module(params.name).build(params, spec)


def begin(params: Any, spec: Spec) -> "nn.Module":
    """Return the network that a training starts from: fresh, or with the pretrained weights that the params name.

    Raises:
        TidemillError: these weights are missing, are not the pinned ones, or are of another model.
    """
    module = _module(params.name)
    network = module.build(params, spec)
    if module.load_pretrained is not None and params.pretrained is not None:
        from tidemill.models.common import pretrained

        module.load_pretrained(network, pretrained.read(params.pretrained, module.PRETRAINED_FILES))
    return network


def params_of(config: dict[str, Any]) -> Any:
    """Return the params of a saved model, read back from the `model` block of its `config.json`."""
    return plugins.load("models", config["name"]).Params.model_validate(config)


def _module(name: str) -> NetworkModule:
    module: NetworkModule = plugins.load("models", name, "network")
    return module
