"""Transfer learning: a new head on a base that may be pretrained on other pictures."""

from collections.abc import Sequence
from typing import Self

import torch
from torch import nn

from tidemill.core.errors import TidemillError
from tidemill.models.common import pretrained


class Base(nn.Module):
    """Computes features (B, D) of pictures (B, C, H, W) with values from 0 to 1."""

    width: int
    """D."""

    def parts(self) -> Sequence[nn.Module]:
        """Return its blocks of layers, first to last; each is frozen or trained as a whole."""
        raise NotImplementedError


class Normalised(nn.Module):
    """Pictures as a base was trained on: grey ones as equal channels where it reads several, each channel around 0."""

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, mean: Sequence[float], deviation: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation)[:, None, None], persistent=False)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return values (B, 3, H, W) around 0 for values (B, C, H, W) from 0 to 1, C being 1 or 3.

        There are as many channels as means, which is 3 in most bases.
        """
        normalised: torch.Tensor = (pixels.expand(-1, len(self.mean), -1, -1) - self.mean) / self.deviation
        return normalised


class Transfer(nn.Module):
    """A base and a linear head. Frozen parts are not trained, and their batch norm keeps its statistics."""

    def __init__(self, base: Base, outputs: int, params: pretrained.Transfer) -> None:
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
        """Return logits (B, outputs) for pictures (B, C, H, W)."""
        logits: torch.Tensor = self.head(self.base(pixels))
        return logits

    def train(self, mode: bool = True) -> Self:
        """Set the mode as torch does, but leave frozen parts in evaluation mode."""
        super().train(mode)
        for part in self._frozen:
            part.eval()
        return self


def load_base(network: Transfer, weights: dict[str, torch.Tensor]) -> None:
    """Load weights into the base: all that it has and no others.

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
    """Return the weights of the base in those of a model trained here; empty for other weights."""
    return {name.removeprefix("base."): value for name, value in weights.items() if name.startswith("base.")}
