"""Learning-rate schedules, beside transformers' own where it has the same."""

import pytest
import torch
from transformers import get_cosine_schedule_with_warmup

from tidemill.training import schedules
from tidemill.training.params import Schedule, Training


def rates(params: Schedule, steps_per_epoch: int, epochs: int) -> list[float]:
    factor = schedules.factor(params, steps_per_epoch, epochs)
    return [factor(step) for step in range(steps_per_epoch * epochs)]


def test_fixed_stays() -> None:
    assert rates(Schedule(), 5, 2) == [1.0] * 10


def test_decay_falls_after_each_epoch() -> None:
    assert rates(Schedule(name="decay", decay=0.5), 2, 3) == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]


def test_cosine_rises_then_falls_to_its_floor() -> None:
    found = rates(Schedule(name="cosine", warmup=0.1, floor=0.1), 100, 1)
    assert found[0] == pytest.approx(0.1) and max(found) == found[9] == 1.0
    assert found[9:] == sorted(found[9:], reverse=True) and found[-1] == pytest.approx(0.1, abs=1e-3)


def test_cosine_is_that_of_transformers_after_its_warm_up() -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    theirs = get_cosine_schedule_with_warmup(torch.optim.SGD([parameter], 1.0), 10, 100)
    ours = schedules.factor(Schedule(name="cosine", warmup=0.1), 100, 1)
    assert [ours(step) for step in range(10, 100)] == pytest.approx(
        [theirs.lr_lambdas[0](step) for step in range(10, 100)]
    )


@pytest.mark.parametrize(
    ("name", "kind"), [("sgd", torch.optim.SGD), ("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)]
)
def test_the_named_optimizer_has_the_params_and_leaves_frozen_weights_alone(name: str, kind: type) -> None:
    frozen = torch.nn.Parameter(torch.zeros(1), requires_grad=False)
    params = Training.model_validate({"optimizer": name, "lr": 0.5, "weight_decay": 0.25})
    made = schedules.optimizer([frozen, torch.nn.Parameter(torch.zeros(1))], params)
    assert type(made) is kind
    (group,) = made.param_groups
    assert (group["lr"], group["weight_decay"], len(group["params"])) == (0.5, 0.25, 1)
