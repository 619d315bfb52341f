"""Which weights of a library's model are trained."""

from collections.abc import Iterator
from typing import Literal

from torch import nn

from tidemill.core.errors import TidemillError


def freeze(base: nn.Module, unfreeze: int | Literal["all"]) -> None:
    """Freeze the base but for its last blocks and what follows them.

    Raises:
        TidemillError: there are fewer blocks.
    """
    if unfreeze == "all":
        return
    blocks = _blocks(base)
    if unfreeze > len(blocks):
        raise TidemillError(f"model.unfreeze {unfreeze} is more than the {len(blocks)} blocks of the model; write all")
    trained = list(blocks[len(blocks) - unfreeze].parameters()) if unfreeze else []
    for weight in base.parameters():
        if trained and weight is trained[0]:
            return
        weight.requires_grad_(False)


def check(network: nn.Module) -> None:
    """Check that something is left to train.

    Raises:
        TidemillError: the head shares its weights with the frozen base.
    """
    if not any(weight.requires_grad for weight in network.parameters()):
        raise TidemillError("model.unfreeze 0 leaves nothing to train: the head is that of the base; write 1 or more")


def rest(model: nn.Module, with_adapters: bool = False) -> None:
    """Put the modules whose weights are all frozen into evaluation mode: no dropout, and batch norm keeps its statistics.

    Args:
        with_adapters: whether the base learns by adapters: then it keeps its dropout.
    """
    for module in model.modules():
        weights = list(module.parameters())
        frozen = bool(weights) and not any(weight.requires_grad for weight in weights)
        if frozen and (not with_adapters or isinstance(module, nn.modules.batchnorm._BatchNorm)):
            module.eval()


def _blocks(base: nn.Module) -> list[nn.Module]:
    """Return the blocks of layers: the entries of the largest list that is in no other."""
    return max(map(list, _outermost(base)), key=_size, default=[])


def _outermost(module: nn.Module) -> Iterator[nn.ModuleList]:
    for child in module.children():
        if isinstance(child, nn.ModuleList):
            yield child
        else:
            yield from _outermost(child)


def _size(blocks: list[nn.Module]) -> int:
    return sum(weight.numel() for block in blocks for weight in block.parameters())
