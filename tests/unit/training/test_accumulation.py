"""Several small batches for one step are one large batch, and a killed training resumes with whole steps."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tidemill.core.spec import Spec
from tidemill.models.common import networks
from tidemill.models.gpt2 import Params
from tidemill.tasks.common import learning
from tidemill.tokens.batches import Batches
from tidemill.tokens.shards import MemoryShards
from tidemill.training import determinism
from tidemill.training.fit import LAST, fit
from tidemill.training.params import Training

SPEC: Spec = {"vocabulary": 50, "length": 8, "end": 0}
TASK = learning.of("text_generation")


def windows(count: int) -> MemoryShards:
    return MemoryShards({"tokens": np.random.default_rng(0).integers(0, 50, (count, 9)).astype(np.uint16)})


def trained(folder: Path, epochs: int = 2, **changed: object) -> dict[str, torch.Tensor]:
    """Weights after a training without dropout, for which the cut into batches is all the same."""
    params = Training.model_validate(
        {"epochs": epochs, "optimizer": "sgd", "lr": 0.5, "keep": "last", "threads": 1, "accelerator": "cpu", **changed}
    )
    determinism.apply(params)
    network = networks.build(Params(name="gpt2", width=16, heads=2, layers=1, dropout=0.0), SPEC)
    train, valid = Batches(windows(48), params.batch, shuffle=True), Batches(windows(8), 8)
    fit(network, TASK, train, valid, params, folder, lambda points: None)
    return {name: value.clone() for name, value in network.state_dict().items()}


def test_small_batches_for_one_step_are_one_large_batch(tmp_path: Path) -> None:
    large = trained(tmp_path / "large", batch=16)
    small = trained(tmp_path / "small", batch=4, accumulate=4)
    for name, value in large.items():
        torch.testing.assert_close(small[name], value, rtol=0, atol=1e-5)


class Killed(Exception):
    pass


def test_a_killed_training_resumes_with_whole_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"batch": 4, "accumulate": 3, "save_every": 1}
    expected = trained(tmp_path / "whole", **options)
    taken, step = [], TASK.step

    def dies_in_the_middle_of_a_step(*arguments: Any) -> object:
        taken.append(1)
        if len(taken) == 8:
            raise Killed
        return step(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(TASK, "step", dies_in_the_middle_of_a_step)
        with pytest.raises(Killed):
            trained(tmp_path / "killed", **options)
    assert (tmp_path / "killed" / LAST).exists()
    found = trained(tmp_path / "killed", **options)
    assert all(torch.equal(found[name], value) for name, value in expected.items())
