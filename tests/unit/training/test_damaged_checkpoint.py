"""A checkpoint of which a byte has flipped is not resumed from: torch itself would not notice."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from tests.fault.disturbances import flip
from tidemill.core.errors import TidemillError
from tidemill.training.callbacks import BestWeights
from tidemill.training.fit import LAST, resumable

STATE = {"weights": torch.arange(5_000, dtype=torch.float32), "epoch": 3}


def saved(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(STATE, folder / LAST)
    return folder


def test_a_whole_one_is_resumed_from(tmp_path: Path) -> None:
    assert not resumable(tmp_path / "none")
    assert resumable(saved(tmp_path / "whole"))
    assert (tmp_path / "whole" / LAST).exists()


@pytest.mark.parametrize("place", [0.0, 0.25, 0.5, 0.75, 0.95])
def test_a_damaged_one_is_removed(tmp_path: Path, place: float, capsys: pytest.CaptureFixture[str]) -> None:
    flip(saved(folder := tmp_path / "damaged") / LAST, place)
    if 0.25 <= place <= 0.75:
        read = torch.load(folder / LAST, weights_only=True)
        assert not torch.equal(read["weights"], STATE["weights"]), "torch reads other weights without a word"
    assert not resumable(folder)
    assert "is damaged: the training starts again" in capsys.readouterr().out
    assert not folder.exists()


def test_one_that_was_cut_is_removed(tmp_path: Path) -> None:
    last = saved(tmp_path / "cut") / LAST
    last.write_bytes(last.read_bytes()[:-500])
    assert not resumable(tmp_path / "cut")


def test_damaged_best_weights_are_told(tmp_path: Path) -> None:
    trainer = SimpleNamespace(callback_metrics={"val/loss": torch.tensor(0.5)}, current_epoch=1)
    network = torch.nn.Linear(40, 40)
    best = BestWeights(tmp_path / "best.safetensors")
    best.on_validation_end(trainer, SimpleNamespace(network=network))
    resumed = BestWeights(best.path)
    resumed.load_state_dict(best.state_dict())
    resumed.restore(network)
    flip(best.path, 0.9)
    assert load_file(best.path), "safetensors reads other weights without a word"
    with pytest.raises(TidemillError, match="is damaged: remove"):
        resumed.restore(network)
