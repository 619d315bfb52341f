"""Pictures that differ a little in every epoch, so that a network cannot learn them by heart.

A whole batch is changed at once, on its device. All draws come from torch's generator of the CPU, whose state is in the
checkpoint: a training that goes on after a kill draws what it would have drawn.
"""

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from tidemill.tasks.image_classification import Augment

Batch = dict[str, torch.Tensor]


def augmented(batch: Batch, params: "Augment") -> Batch:
    """The batch with other pixels: (rows, height, width, channels), from 0 to 255, no longer whole numbers.

    Where pictures are mixed, `share` is how much of each is the row's own, and `other_labels` are those of the rest.
    """
    pixels = batch["pixels"].movedim(-1, 1).float()
    if params.crop or params.flip or params.rotation:
        pixels = _moved(pixels, params)
    if params.colour:
        pixels = _coloured(pixels, params.colour)
    batch = batch | {"pixels": pixels.movedim(1, -1)}
    return _mixed(batch, params.mixup) if params.mixup else batch


def _moved(pixels: torch.Tensor, params: "Augment") -> torch.Tensor:
    """Each picture cut, turned and mirrored in one resampling; what it leaves empty mirrors its edge."""
    rows, _, height, width = pixels.shape
    side = 1 - params.crop * torch.rand(rows)
    across = (1 - 2.0 * torch.randint(2, (rows,))) * side if params.flip else side
    angle = torch.deg2rad(params.rotation * _either_way(rows))
    to_right, to_bottom = (1 - side) * _either_way(rows), (1 - side) * _either_way(rows)
    matrix = torch.stack(
        [
            torch.stack([across * angle.cos(), -side * angle.sin() * height / width, to_right], dim=1),
            torch.stack([across * angle.sin() * width / height, side * angle.cos(), to_bottom], dim=1),
        ],
        dim=1,
    )
    grid = functional.affine_grid(matrix, list(pixels.shape), align_corners=False).to(pixels.device)
    return functional.grid_sample(pixels, grid, padding_mode="reflection", align_corners=False)


def _coloured(pixels: torch.Tensor, most: float) -> torch.Tensor:
    """Each picture brighter or darker, its values nearer to or further from their mean, its colours from grey."""
    factors = (1 + most * _either_way(3 * len(pixels))).to(pixels.device).view(3, len(pixels), 1, 1, 1)
    brightness, contrast, saturation = factors.unbind()
    pixels = pixels * brightness
    pixels = torch.lerp(pixels.mean(dim=(1, 2, 3), keepdim=True), pixels, contrast)
    return torch.lerp(pixels.mean(dim=1, keepdim=True), pixels, saturation).clamp(0, 255)


def _mixed(batch: Batch, alpha: float) -> Batch:
    share = torch.distributions.Beta(alpha, alpha).sample().to(batch["pixels"].device)
    other = torch.randperm(len(batch["labels"])).to(batch["pixels"].device)
    pixels = torch.lerp(batch["pixels"][other], batch["pixels"], share)
    return batch | {"pixels": pixels, "other_labels": batch["labels"][other], "share": share}


def _either_way(count: int) -> torch.Tensor:
    """Draws from -1 to 1."""
    return 2 * torch.rand(count) - 1
