"""The convolutional network as a torch module."""

from itertools import pairwise

from torch import nn

from tidemill.core.errors import TidemillError
from tidemill.core.spec import Spec
from tidemill.models.cnn import Params
from tidemill.models.common.layers import ACTIVATIONS, initialise

PRETRAINED_FILES = ()
load_pretrained = None
solve = None
explain = None


def build(params: Params, spec: Spec) -> nn.Sequential:
    """Return a network from pictures (B, C, H, W) to logits (B, outputs).

    Raises:
        TidemillError: the pictures are too small for that many blocks.
    """
    height, width, channels = spec["shape"]
    blocks = len(params.channels)
    if min(height, width) < 2**blocks:
        raise TidemillError(
            f"pictures of {height} x {width} pixels cannot be halved {blocks} times: "
            f"give model.channels fewer blocks, or tokenize.size {2**blocks} or more"
        )
    layers = [layer for sizes in pairwise([channels, *params.channels]) for layer in _block(params, *sizes)]
    values = params.channels[-1] * (height >> blocks) * (width >> blocks)
    network = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(params.dropout), nn.Linear(values, spec["outputs"]))
    initialise(network, params.initialisation, params.activation)
    return network


def _block(params: Params, inside: int, outside: int) -> list[nn.Module]:
    convolution = nn.Conv2d(inside, outside, kernel_size=3, padding=1, bias=not params.normalisation)
    normalisation = [nn.BatchNorm2d(outside)] if params.normalisation else []
    return [convolution, *normalisation, ACTIVATIONS[params.activation](), nn.MaxPool2d(2)]
