"""Learning: cross-entropy of the labels, on pictures that differ a little in every epoch.

A whole batch is augmented at once, on its device. All random numbers come from torch's CPU generator, whose state is in
the checkpoint: a resumed training draws the same numbers as one that was never interrupted.
"""

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from tidemill.core.params import Fraction, Params
from tidemill.tasks.common import learning as common
from tidemill.tokens.pixels import scaled

if TYPE_CHECKING:
    import torch

BUCKET = None
PACKED = None
LOSSES = None


class Augment(Params):
    """How far a picture may be changed; 0 leaves it as it is."""

    crop: Fraction = 0.0
    """Largest share of its sides that is cut off, anywhere."""
    flip: bool = False
    """Whether every other picture, at random, is mirrored left to right."""
    rotation: Annotated[float, Field(ge=0, le=180)] = 0.0
    """Largest angle, in degrees, to either side."""
    colour: Fraction = 0.0
    """Largest change of brightness, of contrast and of saturation, as a share of what they are."""
    mixup: Annotated[float, Field(ge=0)] = 0.0
    """Alpha of Zhang et al. (2018): two pictures, and their labels, are mixed by a share from a Beta(alpha, alpha)."""


def augment(batch: common.Batch, params: Augment) -> common.Batch:
    """Return the batch with its pixels (B, H, W, C) cropped, mirrored, rotated, recoloured and mixed at random.

    They are float32 from 0 to 255. Where pictures are mixed, `share` () is how much of each is the row's own, and
    `other_labels` (B,) are the labels of the rest.
    """
    pixels = batch["pixels"].movedim(-1, 1).float()
    if params.crop or params.flip or params.rotation:
        pixels = _moved(pixels, params)
    if params.colour:
        pixels = _recoloured(pixels, params.colour)
    batch = batch | {"pixels": pixels.movedim(1, -1)}
    return _mixed(batch, params.mixup) if params.mixup else batch


def features(base: "torch.nn.Module", batch: common.Batch) -> "torch.Tensor":
    """Return the features (B, D) that the base of a network computes of each picture."""
    found: torch.Tensor = base(scaled(batch["pixels"]))
    return found


def logits(network: "torch.nn.Module", batch: common.Batch) -> "torch.Tensor":
    """Return the logits of each picture (B, outputs), from its features where these are known."""
    found: torch.Tensor = network(batch["features"] if "features" in batch else scaled(batch["pixels"]))
    return found


def step(
    network: "torch.nn.Module", batch: common.Batch, label_smoothing: float
) -> tuple["torch.Tensor", dict[str, "torch.Tensor"]]:
    """Return the cross-entropy of the labels, and accuracy; for mixed pictures, that of both labels by their shares."""
    found = logits(network, batch)
    loss = common.cross_entropy(found, batch["labels"], label_smoothing)
    if "other_labels" in batch:
        others = common.cross_entropy(found, batch["other_labels"], label_smoothing)
        loss = batch["share"] * loss + (1 - batch["share"]) * others
    return loss, {"accuracy": common.accuracy(found, batch["labels"])}


def _moved(pixels: "torch.Tensor", params: Augment) -> "torch.Tensor":
    """Crop, rotate and mirror each picture (B, C, H, W) in one resampling; gaps are filled by reflection at the edge."""
    import torch
    from torch.nn import functional

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


def _recoloured(pixels: "torch.Tensor", most: float) -> "torch.Tensor":
    """Change the brightness, contrast and saturation of each picture (B, C, H, W)."""
    import torch

    factors = (1 + most * _either_way(3 * len(pixels))).to(pixels.device).view(3, len(pixels), 1, 1, 1)
    brightness, contrast, saturation = factors.unbind()
    pixels = pixels * brightness
    pixels = torch.lerp(pixels.mean(dim=(1, 2, 3), keepdim=True), pixels, contrast)
    return torch.lerp(pixels.mean(dim=1, keepdim=True), pixels, saturation).clamp(0, 255)


def _mixed(batch: common.Batch, alpha: float) -> common.Batch:
    import torch

    share = torch.distributions.Beta(alpha, alpha).sample().to(batch["pixels"].device)
    other = torch.randperm(len(batch["labels"])).to(batch["pixels"].device)
    pixels = torch.lerp(batch["pixels"][other], batch["pixels"], share)
    return batch | {"pixels": pixels, "other_labels": batch["labels"][other], "share": share}


def _either_way(count: int) -> "torch.Tensor":
    """Return random numbers (count,) from -1 to 1."""
    import torch

    return 2 * torch.rand(count) - 1
