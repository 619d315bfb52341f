"""A frozen base runs once for each picture, whatever the epochs; augmented training resumes exactly."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tidemill.core.errors import TidemillError
from tidemill.core.spec import Spec
from tidemill.tasks.common import learning
from tidemill.tasks.image_classification.learning import Augment
from tidemill.tokens.batches import Batches
from tidemill.tokens.shards import MemoryShards
from tidemill.training import determinism, features, fingerprint
from tidemill.training.fit import LAST, fit
from tidemill.training.outcome import Outcome
from tidemill.training.params import Training

SPEC: Spec = {"labels": ["dark", "light"], "splits": {"train": {"sha256": "a"}, "valid": {"sha256": "b"}}}
TASK = learning.of("image_classification")
CODE = fingerprint.code("image_classification", "resnet")


class CountingBase(nn.Module):
    """The mean brightness and its square; counts the pictures it saw."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale), requires_grad=False)
        self.seen = 0

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        self.seen += len(pixels)
        mean = pixels.mean(dim=(1, 2, 3)) * self.scale
        return torch.stack([mean, mean.square()], dim=1)


class Network(nn.Module):
    def __init__(self, base: "CountingBase") -> None:
        super().__init__()
        self.base, self.head = base, nn.Linear(2, 1)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.base(pixels))
        return logits


def rows(count: int, seed: int = 0) -> MemoryShards:
    """Pictures, of which the light ones have label 1."""
    brightness = np.random.default_rng(seed).integers(0, 256, count)
    pixels = np.tile(brightness[:, None, None, None], (1, 4, 4, 3)).astype(np.uint8)
    return MemoryShards({"pixels": pixels, "labels": (brightness > 127).astype(np.int32)})


def tables() -> features.Rows:
    return {"train": rows(70), "valid": rows(30, seed=1)}


def params(**values: Any) -> Training:
    return Training.model_validate({"epochs": 3, "batch": 8, "lr": 0.05, "accelerator": "cpu", "log_every": 2} | values)


def train(network: nn.Module, shards: features.Rows, training: Training, folder: Path, report: Any = None) -> Outcome:
    train_rows = Batches(shards["train"], training.batch, shuffle=True)
    valid_rows = Batches(shards["valid"], training.batch)
    return fit(network, TASK, train_rows, valid_rows, training, folder, report or (lambda points: None))


def computed(base: nn.Module, shards: features.Rows, spec: Spec, cache: Path) -> features.Rows:
    return features.computed(base, TASK, params(), shards, spec, CODE, cache)


@pytest.mark.parametrize("epochs", [1, 10])
def test_the_base_sees_each_picture_once_however_many_epochs(tmp_path: Path, epochs: int) -> None:
    determinism.apply(params())
    network = Network(CountingBase())
    found = computed(network.base, tables(), SPEC, tmp_path / "features")
    train(network.head, found, params(epochs=epochs), tmp_path / "checkpoints")
    assert network.base.seen == 100


def test_a_head_trained_on_features_is_that_trained_behind_its_frozen_base(tmp_path: Path) -> None:
    weights = []
    for cached in (True, False):
        determinism.apply(params())
        network = Network(CountingBase())
        shards = tables()
        if cached:
            shards = computed(network.base, shards, SPEC, tmp_path / "features")
        train(network.head if cached else network, shards, params(), tmp_path / f"checkpoints-{cached}")
        weights.append(network.head.state_dict())
    torch.testing.assert_close(weights[0], weights[1])


def test_features_are_kept_for_the_same_base_and_rows_and_made_anew_for_others(tmp_path: Path) -> None:
    def seen(base: CountingBase, spec: Spec) -> int:
        computed(base, tables(), spec, tmp_path)
        return base.seen

    assert [seen(CountingBase(), SPEC), seen(CountingBase(), SPEC)] == [100, 0]
    assert seen(CountingBase(scale=2.0), SPEC) == 100
    assert seen(CountingBase(scale=2.0), SPEC | {"splits": {}}) == 100
    assert len(list(tmp_path.iterdir())) == 1


class Interrupted(CountingBase):
    """Is stopped in the middle of the pictures."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        if self.seen > 50:
            raise KeyboardInterrupt
        return super().forward(pixels)


def test_an_interrupted_run_of_the_base_leaves_nothing_half_done(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        computed(Interrupted(), tables(), SPEC, tmp_path / "features")
    base = CountingBase()
    found = computed(base, tables(), SPEC, tmp_path / "features")
    assert base.seen == 100
    assert [len(found["train"]), len(found["valid"])] == [70, 30]


def test_a_base_that_is_trained_has_no_features_to_keep() -> None:
    base = CountingBase()
    assert features.frozen_base(Network(base)) is base
    base.scale.requires_grad_(True)
    assert features.frozen_base(Network(base)) is None
    assert features.frozen_base(nn.Linear(1, 1)) is None


def test_augmentation_before_a_frozen_base_is_refused(tmp_path: Path) -> None:
    augmented = params(augment=Augment(flip=True))
    with pytest.raises(TidemillError, match=r"set model\.unfreeze to 1 or more, or augment to null"):
        features.computed(CountingBase(), TASK, augmented, tables(), SPEC, CODE, tmp_path)


def test_augmented_training_resumes_exactly(tmp_path: Path) -> None:
    augment = Augment(crop=0.2, flip=True, rotation=10.0, colour=0.3, mixup=0.4)
    training = params(augment=augment, save_every=4)

    def weights(folder: Path, report: Any = None) -> torch.Tensor:
        determinism.apply(training)
        network = nn.Sequential(nn.Flatten(), nn.Linear(48, 1))
        train(network, tables(), training, folder, report)
        weight: torch.Tensor = network.state_dict()["1.weight"]
        return weight.clone()

    def stop(points: Any) -> None:
        if points and points[-1].step > 12:  # in the second epoch, just after a checkpoint
            raise KeyboardInterrupt

    undisturbed = weights(tmp_path / "undisturbed")
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        weights(tmp_path / "stopped", stop)
    assert (tmp_path / "stopped" / LAST).exists()
    assert torch.equal(weights(tmp_path / "stopped"), undisturbed)
