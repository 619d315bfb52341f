"""Differential privacy: steps against arithmetic by hand, the account against Opacus' own and a published one, kills."""

from pathlib import Path

import numpy as np
import pytest
import torch
from opacus.accountants import PRVAccountant, RDPAccountant
from torch import nn

from tests.fault.kills import Step, run_killed
from tests.unit.training import private_training
from tests.unit.training.private_training import PRIVACY, TRAINING, digest, rows, train
from tidemill.core.errors import TidemillError
from tidemill.core.params import checked
from tidemill.models.lstm import Params as Lstm
from tidemill.models.lstm.network import build
from tidemill.project.params import System, with_plugins
from tidemill.training.params import Privacy, Training
from tidemill.training.privacy import PoissonBatches, Private

SCRIPT = Path(private_training.__file__).read_text(encoding="utf-8")


def test_each_row_is_drawn_by_the_same_chance_and_alone() -> None:
    batches = PoissonBatches(rows(1000, 0), 100)
    plans = []
    for batches.epoch in range(30):
        plans += batches.plan()
    drawn = np.stack([np.isin(np.arange(1000), plan) for plan in plans])
    assert len(plans) == 300 and batches.rate == 0.1
    sizes = drawn.sum(axis=1)
    assert abs(sizes.mean() - 100) < 4 * (90 / 300) ** 0.5, "binomial: mean n q"
    assert sizes.var() == pytest.approx(90, rel=0.35), "and variance n q (1 - q), which batches of one size lack"
    together = (drawn[:, :-1] & drawn[:, 1:]).mean()
    assert together == pytest.approx(0.01, rel=0.1), "neighbours are drawn independently"


def test_a_step_is_the_clipped_gradients_of_rows_their_sum_and_the_noise() -> None:
    torch.manual_seed(0)
    network = nn.Linear(4, 2)
    values, labels = 10 * torch.randn(6, 4), torch.randint(2, (6,))
    private = Private(network, Privacy(noise=1.5, clip=0.7, delta=1e-3), PoissonBatches(rows(300, 0), 64), 1)
    optimizer = private.optimizer(torch.optim.SGD(network.parameters(), lr=1.0))
    expected = [torch.zeros_like(weight) for weight in network.parameters()]
    for row in range(6):
        copy = nn.Linear(4, 2)
        copy.load_state_dict(network.state_dict())
        nn.functional.cross_entropy(copy(values[row : row + 1]), labels[row : row + 1]).backward()
        own = [weight.grad for weight in copy.parameters()]
        norm = torch.cat([gradient.flatten() for gradient in own]).norm()
        expected = [total + gradient * min(1, 0.7 / norm) for total, gradient in zip(expected, own, strict=True)]
    before = [weight.detach().clone() for weight in network.parameters()]
    nn.functional.cross_entropy(network(values), labels).backward()
    torch.manual_seed(1)
    optimizer.step()
    torch.manual_seed(1)
    for weight, old, total in zip(network.parameters(), before, expected, strict=True):
        noise = torch.normal(0, 1.5 * 0.7, total.shape)
        torch.testing.assert_close(old - weight, (total + noise) / 64, atol=1e-5, rtol=1e-4)
    assert private.account.history == [(1.5, 64 / 300, 1)]


def test_the_account_is_opacus_own_and_below_the_published_one() -> None:
    """Abadi et al. (2016), section 3: q = 0.01, σ = 4, 10,000 steps and δ = 1e-5 spend ε = 1.26 by the moments accountant."""
    private = Private(nn.Linear(1, 1), Privacy(noise=4.0), PoissonBatches(rows(6400, 0), 64), 1)
    private.load_state_dict({"history": [(4.0, 0.01, 10_000)]})
    own, others = private.spent["epsilon"], {}
    for kind in (PRVAccountant, RDPAccountant):
        accountant = kind()
        accountant.history = [(4.0, 0.01, 10_000)]
        others[kind] = accountant.get_epsilon(1e-5)
    assert own == pytest.approx(others[PRVAccountant], abs=1e-4)
    assert 0.9 < own < others[RDPAccountant] < 1.3 and own < 1.26


def test_the_asked_for_epsilon_is_spent_and_not_passed(tmp_path: Path) -> None:
    spent = train(tmp_path).privacy
    assert spent is not None and 2.9 < spent["epsilon"] <= 3.0
    assert spent["steps"] == 3 * 7 and spent["delta"] == PRIVACY.delta


def test_a_killed_training_ends_in_the_same_weights_and_has_spent_the_same(tmp_path: Path) -> None:
    undisturbed = digest(train(tmp_path / "whole"))
    step = Step("tidemill.training.callbacks:Checkpoints", "_save", 4, "after")
    run_killed(SCRIPT, str(tmp_path / "killed"), step=step)
    assert (tmp_path / "killed/last.ckpt").exists()
    assert digest(train(tmp_path / "killed")) == undisturbed


def test_an_lstm_computes_the_same_and_its_weights_keep_their_names() -> None:
    torch.manual_seed(0)
    network = build(
        Lstm(name="lstm", embedding=4, hidden=5, layers=2, bidirectional=True), {"vocabulary": 9, "outputs": 2}
    )
    tokens, lengths = torch.randint(1, 9, (3, 6)), torch.tensor([6, 2, 4])
    before, weights = network(tokens, lengths), {name: value.clone() for name, value in network.state_dict().items()}
    Private(network, Privacy(noise=1.0), PoissonBatches(rows(300, 0), 64), 1)
    torch.testing.assert_close(network(tokens, lengths), before)
    own = network.state_dict()
    assert own.keys() == weights.keys()
    network.load_state_dict({name: value + 1 for name, value in own.items()})
    torch.testing.assert_close(network.state_dict(), {name: value + 1 for name, value in weights.items()})


PICTURES = {"task": "image_classification", "tokenize": {"size": [8, 8], "channels": 1}}
TEXTS = {"task": "text_classification", "tokenize": {"unit": "characters"}}
STORIES = {"task": "text_generation", "tokenize": {}}


@pytest.mark.parametrize(
    ("blocks", "model", "reason"),
    [
        (PICTURES, {"name": "cnn"}, "batch normalisation mixes the rows of a batch: set normalisation to false"),
        (PICTURES, {"name": "resnet", "unfreeze": "all"}, "set unfreeze to 0"),
        (TEXTS, {"name": "bert"}, "not known to be told apart; mlp, lstm and cnn can"),
        (STORIES, {"name": "gpt2"}, "tokens go to next token: of texts and pictures, labels can"),
        (
            TEXTS | {"tokenize": {"unit": "ngrams", "characters": [1, 2]}},
            {"name": "linear"},
            "a solver adds no noise to its steps",
        ),
    ],
    ids=lambda given: given.get("name", "") if isinstance(given, dict) else "",
)
def test_what_cannot_be_private_is_refused_by_name(
    blocks: dict[str, object], model: dict[str, object], reason: str
) -> None:
    with pytest.raises(TidemillError, match=f"training.privacy: {model['name']} cannot be trained with it: .*{reason}"):
        with_plugins("systems.it", system(blocks, model))


def test_what_can_be_private_is_not_refused() -> None:
    for blocks, model in (
        (PICTURES, {"name": "cnn", "normalisation": False}),
        (PICTURES, {"name": "mlp"}),
        (TEXTS, {"name": "lstm"}),
    ):
        with_plugins("systems.it", system(blocks, model))


def system(blocks: dict[str, object], model: dict[str, object]) -> System:
    raw = {"source": {"path": "raw", "format": "parquet"}, "ingest": {}, "validate": {}, "evaluate": {}, "gates": {}}
    private = {"batch": 64, "privacy": {"epsilon": 3.0}}
    return checked(System, raw | blocks | {"model": model, "training": private}, "systems.it")


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"privacy": {}}, "give either epsilon or noise"),
        ({"privacy": {"epsilon": 1.0, "noise": 1.0}}, "give either epsilon or noise"),
        ({"clip": 1.0}, "set privacy.clip"),
        ({"accumulate": 2}, "raise batch"),
        ({"augment": {"flip": True}}, "set it to null"),
        ({"precision": "bf16"}, "set precision to 32"),
        ({"batch": 32}, "batch must be 64 or more"),
    ],
)
def test_params_that_do_not_go_with_privacy_are_named(params: dict[str, object], reason: str) -> None:
    block = {"batch": 64, "privacy": {"epsilon": 1.0}} | params
    with pytest.raises(TidemillError, match=reason):
        checked(Training, block, "systems.it.training")


def test_a_delta_for_fewer_rows_and_an_epsilon_out_of_reach_are_refused() -> None:
    batches = PoissonBatches(rows(400, 0), 64)
    with pytest.raises(
        TidemillError, match=r"delta: 0\.01 is no privacy for 400 training rows: it must be below 0\.003"
    ):
        Private(nn.Linear(1, 1), Privacy(noise=1.0, delta=0.01), batches, 1)
    with pytest.raises(TidemillError, match="no noise reaches 1e-09 in"):
        Private(nn.Linear(1, 1), Privacy(epsilon=1e-9), batches, 5)
    with pytest.raises(TidemillError, match="not of one row at a time"):
        Private(nn.BatchNorm1d(3), Privacy(noise=1.0), batches, 1)


def test_the_seed_decides_the_noise(tmp_path: Path) -> None:
    one, other = (digest(train(tmp_path / str(seed), TRAINING.model_copy(update={"seed": seed}))) for seed in (0, 1))
    assert one["weights"] != other["weights"] and one["privacy"] == other["privacy"]
