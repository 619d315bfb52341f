"""Models of the library that read pictures: a base and a head where they can be told apart, so that a frozen base runs once."""

from typing import Any

import torch
from torch import nn

from tidemill.core.errors import TidemillError
from tidemill.core.spec import Spec
from tidemill.models.common.transfer import Normalised
from tidemill.models.transformers import Params, configs
from tidemill.models.transformers.configs import Document
from tidemill.models.transformers.wrapped import Wrapped


def wrapped(model: Any, params: Params, document: Document, spec: Spec) -> Wrapped:
    """Return the network of a model, which prepares pictures as the spec says.

    Raises:
        TidemillError: the model has weights, and the spec does not say how they were trained.
    """
    wrapper = Pictures if "classifier" in dict(model.named_children()) else WholePictures
    channels = configs.value(model.config, "num_channels", 3)
    return wrapper(model, params, document, _normalised(params, spec, channels))


class PictureBase(nn.Module):
    """A model of the library whose classifier is left out."""

    def __init__(self, model: Any, normalised: Normalised) -> None:
        super().__init__()
        self.normalised, self.model = normalised, model

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return features (B, …) of pictures (B, C, H, W) with values from 0 to 1."""
        features: torch.Tensor = self.model(pixel_values=self.normalised(pixels)).logits
        return features


class WholePictures(Wrapped):
    """Logits of each picture, from a model whose parts are not known."""

    def __init__(self, model: Any, params: Params, document: Document, normalised: Normalised) -> None:
        super().__init__(model, params, document)
        self.normalised = normalised

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return logits (B, outputs) for pictures (B, C, H, W) with values from 0 to 1."""
        logits: torch.Tensor = self.model(pixel_values=self.normalised(pixels)).logits
        return logits


class Pictures(Wrapped):
    """Logits of each picture: a base, which runs once where it is frozen, and the classifier as its head."""

    def __init__(self, model: Any, params: Params, document: Document, normalised: Normalised) -> None:
        self._normalised = [normalised]  # in a list: it is a part of the base alone
        super().__init__(model, params, document)

    def hold(self, model: Any) -> None:
        """Take a model apart into base and head."""
        head, model.classifier = model.classifier, nn.Identity()
        base = PictureBase(model.float(), *self._normalised)
        self.base = base.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # twice as fast on a CPU
        self.head = head.float()

    @property
    def whole(self) -> Any:
        """The model of the library, but for its classifier."""
        return self.base.model

    @property
    def body(self) -> nn.Module:
        """The model without its classifier."""
        body: nn.Module = self.base
        return body

    def heads(self) -> dict[str, nn.Module]:
        """Return the classifier."""
        return {"classifier": self.head}

    def prefixes(self) -> dict[str, str]:
        """Return what our names begin with, and what theirs do instead."""
        return {"base.model.": "", "head.": "classifier."}

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return logits (B, outputs) for pictures (B, C, H, W) with values from 0 to 1."""
        logits: torch.Tensor = self.head(self.base(pixels))
        return logits


def _normalised(params: Params, spec: Spec, channels: int) -> Normalised:
    """Return what prepares pictures: as the preprocessor does, or for a network from scratch around 0."""
    if "mean" in spec:
        return Normalised(spec["mean"], spec["deviation"])
    if params.pretrained is not None:
        raise TidemillError("name the checkpoint's preprocessor_config.json in tokenize.preprocessor")
    return Normalised([0.5] * channels, [0.5] * channels)
