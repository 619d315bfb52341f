"""Choices that networks trained from scratch have in common: the activation, and how the first weights are drawn."""

from typing import Literal

from torch import nn

from tidemill.models.common.choices import Activation, Initialisation

ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}
GAIN: dict[Activation, Literal["relu", "tanh", "sigmoid"]] = {
    "relu": "relu",
    "gelu": "relu",  # it has no gain of its own in torch; its slopes are close to those of ReLU
    "tanh": "tanh",
    "sigmoid": "sigmoid",
}


def initialise(network: nn.Module, how: Initialisation, activation: Activation) -> None:
    """Draw the weights of linear layers and convolutions anew; their biases become 0. `default` leaves torch's own."""
    if how == "default":
        return
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            _draw(layer, how, activation)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _draw(layer: nn.Linear | nn.Conv2d, how: Initialisation, activation: Activation) -> None:
    if how == "xavier":
        nn.init.xavier_uniform_(layer.weight, nn.init.calculate_gain(GAIN[activation]))
    elif how == "kaiming":
        nn.init.kaiming_normal_(layer.weight, nonlinearity=GAIN[activation])
    else:
        nn.init.normal_(layer.weight, std=0.01)
