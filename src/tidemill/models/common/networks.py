"""From the params of a model to its network, and the files of a model's folder.

A model is a package `models/<model>`, named as `model.name` in `params.yaml`. Its `__init__.py` has `Params`, what can be
tuned, `ACCEPTS`, the kinds of task that it fits, and `SOLVED`, whether `solve` finds its weights instead of gradient
steps, and imports nothing heavy; its `network.py` is a `NetworkModule`.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from tidemill.core import plugins
from tidemill.core.spec import Spec

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from torch import nn

    from tidemill.models.common.choices import Loss
    from tidemill.tokens.shards import MemoryShards, Shards

    Rows = Shards | MemoryShards

WEIGHTS, CONFIG, TOKENIZER = "model.safetensors", "config.json", "tokenizer.json"
"""The files of a model's folder; a model of pictures has no tokenizer."""


class NetworkModule(Protocol):
    """What `models/<model>/network.py` defines."""

    PRETRAINED_FILES: tuple[str, ...]
    """Files that pretrained weights may stand in, the first that is there being read; empty where the params name no
    `pretrained` weights."""
    load_pretrained: "Callable[[Any, dict[str, torch.Tensor]], None] | None"
    """Takes a network and weights by name, and puts them into the network; None where there are none to take."""

    solve: "Callable[[Any, Rows, Rows, Any, Loss, int], Iterator[dict[str, float]]] | None"
    """Takes a network, training and validation rows, the params of the model, the loss of numbers and a seed. Puts weights into the network,
    those of one setting after another, and yields what each is and what it found, by name. None where gradient steps
    train the model."""
    explain: "Callable[[nn.Module, Any, Spec], pd.DataFrame] | None"
    """Takes a network, its tokenizer and the spec; returns what the weights say of the input: a row for each feature of a
    label, with `label`, `kind`, `feature` and `weight`. None where single weights say nothing."""

    def build(self, params: Any, spec: Spec) -> "nn.Module":
        """Return the torch module for inputs as the spec describes them, with fresh weights.

        Args:
            params: the `Params` of the model's package.
        """


def build(params: Any, spec: Spec) -> "nn.Module":
    """Return the network of a model with fresh weights, or of as many as an ensemble has members."""
    part = module(params.name)
    if "members" not in spec:
        return part.build(params, spec)
    from tidemill.models.common.ensemble import Ensemble

    return Ensemble([part.build(params, spec) for _ in range(spec["members"])], spec["several"])


def begin(params: Any, spec: Spec) -> "nn.Module":
    """Return the network that a training starts from: fresh, or with the pretrained weights that the params name.

    Raises:
        TidemillError: these weights are missing, are not the pinned ones, or are of another model.
    """
    part = module(params.name)
    network = part.build(params, spec)
    if part.load_pretrained is not None and params.pretrained is not None:
        from tidemill.models.common import pretrained

        part.load_pretrained(network, pretrained.read(params.pretrained, part.PRETRAINED_FILES))
    return network


def module(name: str) -> NetworkModule:
    """Return the network module of a model, by the model's name."""
    found: NetworkModule = plugins.load("models", name, "network")
    return found


def is_solved(name: str) -> bool:
    """Return whether a solver finds the weights of a model; imports nothing heavy."""
    solved: bool = plugins.load("models", name).SOLVED
    return solved


def params_of(config: dict[str, Any]) -> Any:
    """Return the params of a saved model, read back from the `model` block of its `config.json`."""
    return plugins.load("models", config["name"]).Params.model_validate(config)
