"""Networks that put a new head on a base, which may have learned from other pictures."""

from collections.abc import Sequence
from typing import Self

import torch
from torch import nn

from tidemill.errors import TidemillError
from tidemill.models import _pretrained


class Base(nn.Module):
    """What makes features (rows, `width`) of pictures (rows, channels, height, width) with values from 0 to 1."""

    width: int

    def parts(self) -> Sequence[nn.Module]:
        """Its blocks of layers, first to last, each frozen or trained as one."""
        raise NotImplementedError


class Normalised(nn.Module):
    """Pictures as a base knows them: grey ones as three equal colours, each colour around 0."""

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, mean: Sequence[float], deviation: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation)[:, None, None], persistent=False)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Values from 0 to 1, one or three channels, to three channels around 0."""
        normalised: torch.Tensor = (pixels.expand(-1, 3, -1, -1) - self.mean) / self.deviation
        return normalised


class Transfer(nn.Module):
    """A base and a linear head. Frozen parts are not trained, and their batch normalisation keeps its statistics."""

    def __init__(self, base: Base, outputs: int, params: _pretrained.Transfer) -> None:
        super().__init__()
        self.base = base.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # twice as fast on a CPU
        self.head = nn.Sequential(nn.Dropout(params.dropout), nn.Linear(base.width, outputs))
        parts = base.parts()
        trained = len(parts) if params.unfreeze == "all" else params.unfreeze
        self._frozen = parts[: max(0, len(parts) - trained)]
        for part in self._frozen:
            part.requires_grad_(False)
        self.train()  # Lightning trains in the mode that it is given

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Logits (rows, outputs)."""
        logits: torch.Tensor = self.head(self.base(pixels))
        return logits

    def train(self, mode: bool = True) -> Self:
        """As in torch, but frozen parts always stay as in service."""
        super().train(mode)
        for part in self._frozen:
            part.eval()
        return self


def load_base(network: Transfer, weights: dict[str, torch.Tensor]) -> None:
    """Put weights into the base: all that it has and no others.

    Raises:
        TidemillError: they are of another model.
    """
    try:
        network.base.load_state_dict(weights)
    except RuntimeError as error:
        raise TidemillError(
            f"model.pretrained holds weights of another model: {' '.join(str(error).split())}"
        ) from error


def own_base(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The base's part of a model that was trained here; empty for the weights of others."""
    return {name.removeprefix("base."): value for name, value in weights.items() if name.startswith("base.")}
