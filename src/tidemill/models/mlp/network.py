"""The multilayer perceptron as a torch module."""

import math
from itertools import pairwise

from torch import nn

from tidemill.core.spec import Spec
from tidemill.models.common.layers import ACTIVATIONS, initialise
from tidemill.models.mlp import Params

PRETRAINED_FILES = ()
load_pretrained = None
solve = None
explain = None


def build(params: Params, spec: Spec) -> nn.Sequential:
    """Return a network from pictures (B, C, H, W) to logits (B, outputs)."""
    widths = [math.prod(spec["shape"]), *params.hidden]
    layers: list[nn.Module] = [nn.Flatten()]
    for inside, outside in pairwise(widths):
        layers += [nn.Linear(inside, outside), ACTIVATIONS[params.activation](), nn.Dropout(params.dropout)]
    network = nn.Sequential(*layers, nn.Linear(widths[-1], spec["outputs"]))
    initialise(network, params.initialisation, params.activation)
    return network
