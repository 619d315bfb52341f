"""Any checkpoint of the library: its logits, trained as the params say, saved so that the library loads it again."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.unit.models import checkpoints
from tests.unit.models.checkpoints import CASES, KINDS, checkpoint, counted, our_logits, their_logits
from tidemill.models import transformers as package
from tidemill.models.common import networks
from tidemill.models.transformers.wrapped import Wrapped
from tidemill.inference.predictor import _read_network


def begun(params: dict[str, Any], kind: str, **spec: Any) -> Wrapped:
    network = networks.begin(package.Params.model_validate(params), KINDS[kind].spec | spec)
    assert isinstance(network, Wrapped)
    return network


def assert_close(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(counted(found), counted(expected), rtol=1e-5, atol=1e-5)


def saved(network: Wrapped, params: dict[str, Any], kind: str, folder: Path) -> dict[str, Any]:
    config = {"task": KINDS[kind].spec["task"], "model": params, "training": {"epochs": 1}, "spec": KINDS[kind].spec}
    folder.mkdir()
    network.save(folder, config | {"device": "cpu"})
    return config


def trained(network: Wrapped, kind: str, steps: int = 3) -> None:
    optimizer = torch.optim.AdamW([weight for weight in network.parameters() if weight.requires_grad], 1e-2)
    given = checkpoints.batch()
    inputs = {
        "pixels": (checkpoints.pixels(),),
        "next": (given["tokens"],),
        "labels": (given["tokens"], given["lengths"]),
        "span": tuple(given.values()),
    }[kind]
    for _ in range(steps):
        optimizer.zero_grad()
        network(*inputs).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize(("architecture", "kind"), CASES, ids=["-".join(case) for case in CASES])
def test_its_logits_are_those_of_the_library_before_and_after_training(
    tmp_path: Path, architecture: str, kind: str
) -> None:
    import transformers

    model, params = checkpoint(tmp_path / "published", architecture, kind)
    network = begun(params, kind)
    assert network.training
    expected = their_logits(model, kind)
    assert counted(expected).std() > 0.01
    assert_close(our_logits(network.eval(), kind), expected)
    network.train()
    trained(network, kind)
    network.eval()
    after = our_logits(network, kind)
    assert (counted(after) - counted(expected)).abs().max() > 1e-3
    config = saved(network, params, kind, tmp_path / "model")
    again, report = getattr(transformers, KINDS[kind].auto).from_pretrained(
        tmp_path / "model", output_loading_info=True
    )
    assert not report["missing_keys"] and not report["unexpected_keys"] and not report["mismatched_keys"]
    assert_close(their_logits(again.eval(), kind), after)
    read = networks.params_of(checkpoints.read(tmp_path / "model")["model"])
    assert read.checkpoint.sha256 == params["checkpoint"]["sha256"]
    for path in (tmp_path / "published").iterdir():
        path.unlink()  # a saved model needs its checkpoint no more
    ours = _read_network(tmp_path / "model", checkpoints.read(tmp_path / "model"))
    assert config.keys() <= checkpoints.read(tmp_path / "model").keys()
    assert_close(our_logits(ours, kind), after)
