"""Weights that a training starts from, pinned by their hash, and how much of them it trains."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from tidemill.core.errors import TidemillError
from tidemill.core.files import finished_file
from tidemill.core.params import Fraction, Params, Sha256
from tidemill.core.pinned import PinnedFile, pinned
from tidemill.models.common.params import ModelParams

if TYPE_CHECKING:
    import torch

KEPT = Path(".tidemill/weights")
"""Where weights published as a pickle are kept as safetensors."""
CONFIG, WEIGHT_ENDINGS = "config.json", (".safetensors", ".bin")
"""Files of a checkpoint."""


class Checkpoint(Params):
    """A published model: its config and, unless it is to be trained from scratch, its weights."""

    path: str = Field(min_length=1)
    """A folder in Hugging Face's layout, or else an id of its Hub (`owner/name`, `owner/name@revision`)."""
    sha256: dict[str, Sha256]
    """The hash of each file that is read: `config.json`, and `model.safetensors`, all of several such files, or
    `pytorch_model.bin`. Without weights it is trained from scratch."""

    @model_validator(mode="after")
    def _files_are_known(self) -> Self:
        if CONFIG not in self.sha256:
            raise ValueError(f"the hash of {CONFIG} is missing")
        if other := [name for name in self.sha256 if name != CONFIG and not name.endswith(WEIGHT_ENDINGS)]:
            raise ValueError(f"{other[0]} is no file of weights: name {' or '.join(WEIGHT_ENDINGS)} files")
        return self

    @property
    def weights(self) -> tuple[str, ...]:
        """Names of the files of its weights, in order."""
        return tuple(sorted(name for name in self.sha256 if name != CONFIG))

    def file(self, name: str) -> PinnedFile:
        """Return one of its files, by its name."""
        return PinnedFile(path=self.path, sha256=self.sha256[name])


class Transfer(ModelParams):
    """What the params of all models with a new head on a base share."""

    pretrained: PinnedFile | None = None
    """Weights of the base; null trains it from scratch."""
    unfreeze: Annotated[int, Field(ge=0)] | Literal["all"] = 0
    """Blocks of the base that are trained, counted from its end; 0 trains the head alone, on features that are computed
    once and cached."""
    dropout: Fraction = 0.0
    """Share of the features that are dropped in training, before the head."""

    def not_private(self) -> str | None:
        """Return why the base cannot be trained; its head can."""
        return None if self.unfreeze == 0 else "batch normalisation mixes the rows of a batch: set unfreeze to 0"

    @model_validator(mode="after")
    def _trained_or_pretrained(self) -> Self:
        if self.pretrained is None and self.unfreeze != "all":
            raise ValueError(
                "a base without pretrained weights must be trained: set unfreeze to all, or name pretrained"
            )
        return self


def read(pretrained: PinnedFile | Checkpoint, names: tuple[str, ...], kept: Path = KEPT) -> "dict[str, torch.Tensor]":
    """Return weights by name, from the first of these files that is there, or from all files of a checkpoint.

    Args:
        kept: the folder in which a pickle is kept as safetensors.

    Raises:
        TidemillError: there is no such file, its hash is another one, it is damaged, or it holds more than tensors.
    """
    if isinstance(pretrained, Checkpoint):
        parts = (read(pretrained.file(name), (name,), kept) for name in pretrained.weights)
        return {name: value for part in parts for name, value in part.items()}
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    file = pinned(pretrained, names)
    safe = file if file.suffix == ".safetensors" else _converted(file, kept / f"{pretrained.sha256}.safetensors")
    try:
        return load_file(safe)
    except SafetensorError as error:
        raise TidemillError(f"{safe} is not a whole safetensors file: {error}") from error


def _converted(file: Path, kept: Path) -> Path:
    """Convert the weights of a pickle to safetensors. Unpickling runs no code here: only tensors are allowed."""
    import torch
    from safetensors.torch import save_file

    if not kept.exists():
        try:
            weights = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # damaged bytes can raise anything
            raise TidemillError(
                f"{file} holds more than weights, or is damaged: {' '.join(str(error).split())}"
            ) from error
        if other := [name for name, value in weights.items() if not isinstance(value, torch.Tensor)]:
            raise TidemillError(f"{file} holds more than weights: {other[0]} is none")
        own = {name: value.clone(memory_format=torch.contiguous_format) for name, value in weights.items()}
        with finished_file(kept) as partial:
            save_file(own, partial)  # of tensors that share memory, each is written
    return kept
