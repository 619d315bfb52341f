"""Fast multiplication only where it is exact; tokens a second and utilisation as the published formula has them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from tidemill.core.spec import Spec
from tidemill.models.common import networks
from tidemill.models.gpt2 import Params
from tidemill.tasks.common import learning
from tidemill.tokens.batches import Batches
from tidemill.tokens.shards import MemoryShards
from tidemill.training import determinism, matmul
from tidemill.training.callbacks import _tokens
from tidemill.training.fit import fit
from tidemill.training.outcome import Outcome
from tidemill.training.params import Training
from tidemill.training.utilisation import mfu, peak_memory

SPEC: Spec = {"vocabulary": 50, "length": 8, "end": 0}
SHAPE = Params(name="gpt2", width=16, heads=2, layers=1, dropout=0.1)


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    yield
    torch.set_float32_matmul_precision(before)


def trained(folder: Path, **changed: object) -> Outcome:
    values = {"epochs": 2, "batch": 8, "accelerator": "cpu", "keep": "last", **changed}
    params = Training.model_validate(values)
    determinism.apply(params)
    drawn = np.random.default_rng(0).integers(0, 50, (40, 9)).astype(np.uint16)
    rows = MemoryShards({"tokens": drawn})
    network = networks.build(SHAPE, SPEC)
    return fit(
        network,
        learning.of("text_generation"),
        Batches(rows, params.batch, shuffle=True),
        Batches(rows, 8),
        params,
        folder,
        lambda p: None,
    )


def test_float32_passes_its_own_bound_and_bfloat16_would_not(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_float32_matmul_precision("highest")
    assert 0 < matmul.error("cpu") < matmul.BOUND
    exact = torch.Tensor.__matmul__
    monkeypatch.setattr(
        torch.Tensor,
        "__matmul__",
        lambda a, b: exact(a.bfloat16(), b.bfloat16()) if a.dtype == torch.float32 else exact(a, b),
    )
    assert matmul.error("cpu") > 100 * matmul.BOUND


def test_a_multiplication_that_is_not_exact_is_refused_with_a_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(matmul, "error", lambda device: 2e-3)
    assert matmul.apply("medium", "cpu") == torch.get_float32_matmul_precision() == "highest"
    assert "error of 2.0e-03 on this cpu, more than 2e-06: highest is used" in capsys.readouterr().out


def test_an_exact_one_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matmul, "error", lambda device: 3e-7)
    assert matmul.apply("medium", "cpu") == torch.get_float32_matmul_precision() == "medium"


def test_fast_multiplication_gives_the_same_weights_twice(tmp_path: Path) -> None:
    one, two = (trained(tmp_path / name, matmul="medium").network.state_dict() for name in ("one", "two"))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_mixed_precision_trains_with_a_fused_optimizer_and_clipped_gradients(tmp_path: Path) -> None:
    """SGD at rate 1 moves the weights by no more than the clipped norm, so a step's length shows that it was clipped."""
    values = {"precision": "bf16", "clip": 1e-3, "epochs": 1, "batch": 40}
    assert trained(tmp_path / "fused", optimizer="adamw", **values).epochs == 1
    clipped = trained(tmp_path / "sgd", optimizer="sgd", lr=1.0, **values).network
    torch.manual_seed(0)
    first = networks.build(SHAPE, SPEC)
    moved = [(one - other).norm() for one, other in zip(clipped.parameters(), first.parameters(), strict=True)]
    assert float(torch.stack(moved).norm()) == pytest.approx(1e-3, rel=0.01)


def test_a_training_measures_its_tokens_a_second(tmp_path: Path) -> None:
    outcome = trained(tmp_path)
    assert outcome.tokens_per_second == pytest.approx(8 * outcome.rows_per_second)
    assert outcome.mfu is None  # nobody states what this CPU can do at most


def test_padding_is_no_token() -> None:
    assert int(_tokens({"tokens": torch.zeros(2, 9), "tokens_length": torch.tensor([9, 4])})) == 13
    assert _tokens({"tokens": torch.zeros(2, 9)}) == 16
    assert _tokens({"pixels": torch.zeros(2, 9)}) == 0


def test_the_peak_of_memory_counts_what_was_let_go_again() -> None:
    before = peak_memory()
    np.ones(before // 8 + 10_000_000)
    assert peak_memory() >= before + 60_000_000


def test_utilisation_is_that_of_the_published_formula() -> None:
    network = networks.build(Params(name="gpt2"), {"vocabulary": 50257, "length": 1024})
    weights = 124_439_808 - 1024 * 768
    params = Training.model_validate({"precision": "bf16"})
    assert network.flops_per_token == 6 * weights + 12 * 12 * 768 * 1024
    found = mfu(network, 100_000, "NVIDIA H100 80GB HBM3", params)
    assert found == pytest.approx(network.flops_per_token * 1e5 / 989e12)
    slower = mfu(network, 100_000, "NVIDIA H100 PCIe", params)
    assert slower == pytest.approx(network.flops_per_token * 1e5 / 756e12)
    assert mfu(network, 100_000, "NVIDIA H100 80GB HBM3", Training()) is None
    assert mfu(torch.nn.Linear(2, 2), 100_000, "NVIDIA H100 80GB HBM3", params) is None
