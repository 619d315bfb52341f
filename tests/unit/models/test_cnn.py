"""Networks trained from scratch on pictures: what their params say is what is computed."""

import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from tidemill.core.errors import TidemillError
from tidemill.core.spec import Spec
from tidemill.models import cnn, mlp
from tidemill.models.cnn.network import build
from tidemill.models.mlp.network import build as build_mlp

SPEC: Spec = {"shape": [8, 8, 3], "outputs": 4}


def network(**params: Any) -> nn.Sequential:
    torch.manual_seed(0)
    return build(cnn.Params(name="cnn", **params), SPEC)


def test_a_block_is_a_convolution_normalised_over_the_batch_and_halved() -> None:
    made = network(channels=[5]).train()
    pixels = torch.rand(6, 3, 8, 8)
    weights = dict(made.named_parameters())
    values = functional.conv2d(pixels, weights["0.weight"], padding=1)
    mean = values.mean(dim=(0, 2, 3), keepdim=True)
    variance = ((values - mean) ** 2).mean(dim=(0, 2, 3), keepdim=True)
    values = ((values - mean) / torch.sqrt(variance + 1e-5)).clamp(min=0)
    halved = values.reshape(6, 5, 4, 2, 4, 2).amax(dim=(3, 5))
    expected = halved.flatten(1) @ weights["6.weight"].T + weights["6.bias"]
    assert torch.allclose(made(pixels), expected, atol=1e-5)


def test_without_normalisation_a_row_does_not_depend_on_its_batch() -> None:
    made = network(channels=[5, 6], normalisation=False, activation="tanh").train()
    pixels = torch.rand(6, 3, 8, 8)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in made)
    assert torch.allclose(made(pixels)[:1], made(pixels[:1]), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("relu", lambda x: max(0.0, x)),
        ("gelu", lambda x: x * 0.5 * (1 + math.erf(x / math.sqrt(2)))),
        ("tanh", math.tanh),
        ("sigmoid", lambda x: 1 / (1 + math.exp(-x))),
    ],
)
def test_activations_are_what_their_formula_says(name: Any, formula: Any) -> None:
    made = build_mlp(mlp.Params(name="mlp", hidden=[3], activation=name), SPEC)
    values = torch.tensor([-2.0, -0.3, 0.0, 1.7])
    assert made[2](values).tolist() == pytest.approx([formula(float(value)) for value in values], abs=1e-6)


@pytest.mark.parametrize(
    ("how", "deviation"),
    [
        ("xavier", math.sqrt(2) * math.sqrt(2 / (192 + 400))),
        ("kaiming", math.sqrt(2 / 192)),
        ("normal", 0.01),
        ("default", 1 / math.sqrt(3 * 192)),
    ],
)
def test_first_weights_are_spread_as_published(how: Any, deviation: float) -> None:
    torch.manual_seed(0)
    made = build_mlp(mlp.Params(name="mlp", hidden=[400], initialisation=how), SPEC)
    layer = made[1]
    assert isinstance(layer, nn.Linear)
    assert float(layer.weight.detach().std()) == pytest.approx(deviation, rel=0.02)
    assert bool((layer.bias == 0).all()) == (how != "default")


def test_pictures_too_small_for_the_blocks_are_refused() -> None:
    with pytest.raises(TidemillError, match=r"8 x 8 pixels cannot be halved 4 times: .* tokenize.size 16 or more"):
        network(channels=[2, 2, 2, 2])
