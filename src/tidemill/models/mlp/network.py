"""The multilayer perceptron as a torch module."""

import math
from itertools import pairwise
from typing import Any

from torch import nn

from tidemill.models.mlp import Params

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}


def build(params: Params, spec: dict[str, Any]) -> nn.Sequential:
    """Pictures (rows, channels, height, width) to logits (rows, outputs)."""
    widths = [math.prod(spec["shape"]), *params.hidden]
    layers: list[nn.Module] = [nn.Flatten()]
    for inside, outside in pairwise(widths):
        layers += [nn.Linear(inside, outside), ACTIVATIONS[params.activation](), nn.Dropout(params.dropout)]
    return nn.Sequential(*layers, nn.Linear(widths[-1], spec["outputs"]))
