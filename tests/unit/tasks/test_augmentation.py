"""Pictures changed at random: as far as the params allow, never further, and the same again from the same state."""

import pytest
import torch

from tidemill.tasks.common.learning import Batch
from tidemill.tasks.image_classification import learning


def batch(rows: int = 64, height: int = 12, width: int = 20) -> Batch:
    generator = torch.Generator().manual_seed(3)
    pixels = torch.randint(0, 256, (rows, height, width, 3), generator=generator, dtype=torch.uint8)
    return {"pixels": pixels, "labels": torch.arange(rows) % 5}


def changed(of: Batch, seed: int = 0, **params: object) -> Batch:
    torch.manual_seed(seed)
    return learning.augment(of, learning.Augment.model_validate(params))


def test_nothing_asked_is_nothing_changed() -> None:
    assert torch.equal(changed(batch())["pixels"], batch()["pixels"].float())


def test_a_flip_mirrors_about_half_of_the_pictures_and_leaves_the_others() -> None:
    before = batch()["pixels"].float()
    after = changed(batch(), flip=True)["pixels"]
    same = torch.isclose(after, before, atol=0.01).flatten(1).all(dim=1)
    mirrored = torch.isclose(after, before.flip(2), atol=0.01).flatten(1).all(dim=1)
    assert (same ^ mirrored).all()
    assert 16 < mirrored.sum() < 48


@pytest.mark.parametrize("params", [{"crop": 0.3}, {"rotation": 30.0}, {"crop": 0.3, "rotation": 30.0, "flip": True}])
def test_moving_makes_no_new_values(params: dict[str, object]) -> None:
    """What lies outside mirrors the picture: no black corners, no values beyond those there were."""
    pixels = batch()["pixels"] // 2 + 60
    after = changed(batch() | {"pixels": pixels}, **params)["pixels"]
    assert after.min() >= 60 and after.max() <= 187.01
    assert not torch.isclose(after, pixels.float(), atol=0.5).flatten(1).all(dim=1).any()


def test_a_crop_shows_a_part_of_the_picture_enlarged() -> None:
    """A slope of brightness stays a slope, flatter by the share that is cut off, within the old values."""
    slope = (torch.arange(64.0)[None, None, :, None] * 4).expand(32, 64, 64, 3)
    rows = {"pixels": slope.to(torch.uint8), "labels": torch.zeros(32)}
    after = changed(rows, crop=0.5)["pixels"][:, 32, :, 0]
    steps = after.diff(dim=1)[:, 16:48]
    assert torch.allclose(steps, steps[:, :1].expand_as(steps), atol=0.01)
    assert 2 <= steps.min() < 2.7 and 3.3 < steps.max() <= 4
    assert after.min() >= 0 and after.max() <= 252


def test_a_turn_keeps_lengths_in_a_picture_that_is_not_square() -> None:
    """A disc stays a disc: a turn that forgot the shape of the picture would stretch it."""
    down, across = torch.meshgrid(torch.arange(40.0) - 19.5, torch.arange(80.0) - 39.5, indexing="ij")
    disc = 255.0 * ((down.square() + across.square()) < 12**2)
    rows = {"pixels": disc[None, :, :, None].expand(16, -1, -1, 3).to(torch.uint8), "labels": torch.zeros(16)}
    after = changed(rows, rotation=90.0)["pixels"]
    middle = slice(20, 60)  # beyond it, the mirrored edge shows the disc again
    assert ((after[:, :, middle, 0] - disc[:, middle]).abs() > 128).flatten(1).sum(dim=1).max() < 30


def test_colours_change_as_far_as_asked_and_grey_stays_grey() -> None:
    grey = torch.full((64, 4, 4, 3), 100, dtype=torch.uint8)
    after = changed({"pixels": grey, "labels": torch.zeros(64)}, colour=0.2)["pixels"]
    assert torch.allclose(after, after[:, :1, :1, :1].expand_as(after), atol=0.01)
    assert 80 <= after.min() < 85 and 115 < after.max() <= 120
    vivid = changed(batch(), colour=0.9)["pixels"]
    assert vivid.min() >= 0 and vivid.max() <= 255


def test_mixed_pictures_are_their_own_and_another_by_the_share_that_their_labels_have() -> None:
    rows = batch() | {"labels": torch.arange(64)}
    mixed = changed(rows, mixup=0.4)
    pixels, other = rows["pixels"].float(), rows["pixels"][mixed["other_labels"]].float()
    assert torch.allclose(mixed["pixels"], mixed["share"] * pixels + (1 - mixed["share"]) * other, atol=0.01)
    assert sorted(mixed["other_labels"].tolist()) == list(range(64))


def test_the_loss_of_mixed_pictures_is_that_of_soft_targets() -> None:
    mixed = changed(batch(), mixup=1.0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12 * 20 * 3, 5))
    loss, _ = learning.step(network, mixed, 0.0)
    one_hot = torch.eye(5)
    targets = mixed["share"] * one_hot[mixed["labels"]] + (1 - mixed["share"]) * one_hot[mixed["other_labels"]]
    logits = network(mixed["pixels"].movedim(-1, 1) / 255)
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(logits, targets))


def test_the_same_state_draws_the_same_and_another_does_not() -> None:
    params = {"crop": 0.2, "flip": True, "rotation": 10.0, "colour": 0.2, "mixup": 0.2}
    first, again, other = (changed(batch(), seed, **params) for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["pixels"], other["pixels"])
