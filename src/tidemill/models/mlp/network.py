"""The multilayer perceptron as a torch module."""

import math
from itertools import pairwise

from torch import nn

from tidemill.core.spec import Spec
from tidemill.models.common.columns import Expanded, OfColumns
from tidemill.models.common.layers import ACTIVATIONS, initialise
from tidemill.models.mlp import Params

PRETRAINED_FILES = ()
load_pretrained = None
solve = None
explain = None


def build(params: Params, spec: Spec) -> nn.Module:
    """Return a network from pictures (B, C, H, W), or from numbers (B, N) and categories (B, C), to logits (B, outputs)."""
    if "columns" in spec:
        return OfColumns(spec["columns"], _perceptron(params, len(Expanded(spec["columns"]).names), spec["outputs"]))
    return _perceptron(params, math.prod(spec["shape"]), spec["outputs"])


def _perceptron(params: Params, inputs: int, outputs: int) -> nn.Sequential:
    widths = [inputs, *params.hidden]
    layers: list[nn.Module] = [nn.Flatten()]
    for inside, outside in pairwise(widths):
        layers += [nn.Linear(inside, outside), ACTIVATIONS[params.activation](), nn.Dropout(params.dropout)]
    network = nn.Sequential(*layers, nn.Linear(widths[-1], outputs))
    initialise(network, params.initialisation, params.activation)
    return network
