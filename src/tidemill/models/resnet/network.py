"""The residual network as a torch module: that of `transformers`, with normalised pixels before it and a head behind."""

from collections.abc import Sequence

import torch
from torch import nn
from transformers import ResNetConfig, ResNetModel

from tidemill.core.spec import Spec
from tidemill.models.common.transfer import Base, Normalised, Transfer, load_base, own_base
from tidemill.models.resnet import Params

PRETRAINED_FILES = ("model.safetensors",)
solve = None
explain = None
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's red, green and blue, from 0 to 1: what published weights are trained with."""


def build(params: Params, spec: Spec) -> Transfer:
    """Return a network from pictures (B, C, H, W) with values from 0 to 1 to logits (B, outputs)."""
    return Transfer(ResidualBase(params), spec["outputs"], params)


def load_pretrained(network: Transfer, weights: dict[str, torch.Tensor]) -> None:
    """Load the base from weights of `ResNetForImageClassification` or `ResNetModel` of `transformers`, or of our own.

    Raises:
        TidemillError: they are of another model.
    """
    theirs = {name.removeprefix("resnet."): value for name, value in weights.items() if "classifier" not in name}
    load_base(network, own_base(weights) or {f"network.{name}": value for name, value in theirs.items()})


class ResidualBase(Base):
    """The network of `transformers` without its classifier."""

    def __init__(self, params: Params) -> None:
        super().__init__()
        self.width = params.widths[-1]
        self.normalised = Normalised(MEAN, DEVIATION)
        self.network = ResNetModel(
            ResNetConfig(
                embedding_size=params.stem,
                hidden_sizes=params.widths,
                depths=params.depths,
                layer_type=params.block,
            )
        )

    def parts(self) -> Sequence[nn.Module]:
        """Return the stem, and each residual block."""
        stages = self.network.encoder.stages.children()
        return [
            self.network.embedder,
            *(block for stage in stages for block in stage.get_submodule("layers").children()),
        ]

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return features (B, D): the mean of each channel over the picture."""
        features: torch.Tensor = self.network(self.normalised(pixels)).pooler_output.flatten(1)
        return features
