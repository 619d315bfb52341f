"""Weights that a training starts from, pinned by their hash, and how much of them it trains."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from tidemill.config import Fraction, Params
from tidemill.data.pretrained import PinnedFile as Pretrained
from tidemill.data.pretrained import pinned
from tidemill.errors import TidemillError
from tidemill.files import finished_file

if TYPE_CHECKING:
    import torch

__all__ = ["Pretrained", "Transfer", "read"]

KEPT = Path(".tidemill/weights")
"""Where weights that came as a pickle are kept as safetensors."""


class Transfer(Params):
    """Base of the params of a model that puts a new head on a base."""

    pretrained: Pretrained | None = None
    """Weights of the base; without them it is trained from scratch."""
    unfreeze: Annotated[int, Field(ge=0)] | Literal["all"] = 0
    """Blocks of the base that are trained, counted from its end: 0 trains the head alone, on features that are computed
    once and kept."""
    dropout: Fraction = 0.0
    """Share of the features that are left out in training, before the head."""

    @model_validator(mode="after")
    def _trained_or_pretrained(self) -> Self:
        if self.pretrained is None and self.unfreeze != "all":
            raise ValueError(
                "a base without pretrained weights must be trained: set unfreeze to all, or name pretrained"
            )
        return self


def read(pretrained: Pretrained, names: tuple[str, ...], kept: Path = KEPT) -> "dict[str, torch.Tensor]":
    """The weights by their names, from the first of these files that is there.

    Raises:
        TidemillError: there is no such file, its hash is another one, it is damaged, or it holds more than tensors.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    file = pinned(pretrained, names)
    safe = file if file.suffix == ".safetensors" else _converted(file, kept / f"{pretrained.sha256}.safetensors")
    try:
        return load_file(safe)
    except SafetensorError as error:
        raise TidemillError(f"{safe} is not a whole safetensors file: {error}") from error


def _converted(file: Path, kept: Path) -> Path:
    """The weights of a pickle as safetensors. Unpickling runs nothing here: only tensors are let through."""
    import torch
    from safetensors.torch import save_file

    if not kept.exists():
        try:
            weights = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # damaged bytes can raise anything
            raise TidemillError(
                f"{file} holds more than weights, or is damaged: {' '.join(str(error).split())}"
            ) from error
        with finished_file(kept) as partial:
            save_file({name: value.contiguous() for name, value in weights.items()}, partial)
    return kept
