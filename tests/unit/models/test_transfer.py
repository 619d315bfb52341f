"""Pretrained bases: the numbers of those we trust, only the pinned weights, and nothing trained that is frozen."""

import os
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional
from transformers import ResNetConfig, ResNetForImageClassification

from tidemill.core.errors import TidemillError
from tidemill.core.files import sha256_file
from tidemill.models import efficientnet, resnet
from tidemill.models.common import networks as models
from tidemill.models.common.transfer import Transfer
from tidemill.models.efficientnet.network import SameConvolution
from tidemill.models.resnet.network import DEVIATION, MEAN

SPEC = {"outputs": 3, "shape": [40, 40, 3]}
TINY = {"depths": [1, 2], "widths": [16, 32], "stem": 8}
PUBLISHED_NAMES = "479a43b9ba402d36d5225ce4573c414d6795c9652ad64cb593bd1fe07d2a0755"
"""Hash of the names and shapes in the published file, its classifier left out."""
PUBLISHED = Path("data/efficientnet/efficientnet-lite0.pth")


def tiny_resnet(folder: Path, block: str = "bottleneck") -> tuple[ResNetForImageClassification, dict[str, Any]]:
    """The library's model with random weights and statistics, saved by itself, and the params that pin it."""
    torch.manual_seed(7)
    config = ResNetConfig(embedding_size=8, hidden_sizes=[16, 32], depths=[1, 2], layer_type=block, num_labels=3)
    theirs = ResNetForImageClassification(config).eval()
    for name, value in theirs.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.rand_like(value) + 0.5 if "normalization" in name else 0.3 * torch.randn_like(value))
    theirs.save_pretrained(folder)
    pin = {"path": str(folder), "sha256": sha256_file(folder / "model.safetensors")}
    return theirs, {"name": "resnet", **TINY, "block": block, "pretrained": pin}


def pixels(rows: int = 4, channels: int = 3) -> torch.Tensor:
    return torch.rand(rows, channels, 40, 40, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("block", ["bottleneck", "basic"])
def test_resnet_gives_the_logits_of_transformers(tmp_path: Path, block: str) -> None:
    theirs, params = tiny_resnet(tmp_path, block)
    ours = models.begin(resnet.Params.model_validate(params), SPEC).eval()
    ours.get_submodule("head.1").load_state_dict(theirs.classifier[1].state_dict())
    normalised = (pixels() - torch.tensor(MEAN)[:, None, None]) / torch.tensor(DEVIATION)[:, None, None]
    with torch.inference_mode():
        torch.testing.assert_close(ours(pixels()), theirs(normalised).logits, rtol=1e-5, atol=1e-5)


def test_a_grey_picture_is_one_of_three_equal_colours(tmp_path: Path) -> None:
    _, params = tiny_resnet(tmp_path)
    network = models.begin(resnet.Params.model_validate(params), SPEC).eval()
    grey = pixels(channels=1)
    with torch.inference_mode():
        torch.testing.assert_close(network(grey), network(grey.repeat(1, 3, 1, 1)))


def test_a_model_trained_here_is_a_base_for_the_next(tmp_path: Path) -> None:
    _, params = tiny_resnet(tmp_path)
    trained = models.begin(resnet.Params.model_validate(params), SPEC)
    save_file(
        {name: value.contiguous() for name, value in trained.state_dict().items()}, tmp_path / "model.safetensors"
    )
    pin = {"path": str(tmp_path), "sha256": sha256_file(tmp_path / "model.safetensors")}
    again = models.begin(resnet.Params.model_validate(params | {"pretrained": pin}), SPEC | {"outputs": 9})
    for name, value in trained.get_submodule("base").state_dict().items():
        assert torch.equal(value, again.state_dict()[f"base.{name}"]), name


def test_other_bytes_than_the_pinned_ones_are_refused(tmp_path: Path) -> None:
    _, params = tiny_resnet(tmp_path)
    params["pretrained"]["sha256"] = "0" * 64
    with pytest.raises(TidemillError, match=r"has the sha256 .*, but the params ask for 0000"):
        models.begin(resnet.Params.model_validate(params), SPEC)


def test_weights_of_another_shape_are_refused_by_name(tmp_path: Path) -> None:
    _, params = tiny_resnet(tmp_path)
    with pytest.raises(TidemillError, match=r"weights of another model.*encoder\.stages\.0"):
        models.begin(resnet.Params.model_validate(params | {"depths": [2, 2]}), SPEC)


class Harmful:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.folder),)


def test_a_pickle_runs_nothing(tmp_path: Path) -> None:
    file = tmp_path / "efficientnet-lite0.pth"
    torch.save({"conv_stem.weight": Harmful(tmp_path / "harmed")}, file)
    pin = {"path": str(tmp_path), "sha256": sha256_file(file)}
    with pytest.raises(TidemillError, match="holds more than weights"):
        models.begin(efficientnet.Params.model_validate({"name": "efficientnet", "pretrained": pin}), SPEC)
    assert not (tmp_path / "harmed").exists()


def published(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights of a base by the names of the published file."""

    def renamed(name: str) -> str:
        *places, kind = name.split(".")
        return ".".join([*(place if place.isdigit() else f"_{place}" for place in places), kind])

    return {renamed(name): value for name, value in weights.items()}


def test_efficientnet_has_the_names_and_shapes_of_the_published_weights() -> None:
    network = models.build(efficientnet.Params.model_validate({"name": "efficientnet", "unfreeze": "all"}), SPEC)
    lines = [
        f"{name} {list(value.shape)}" for name, value in published(network.get_submodule("base").state_dict()).items()
    ]
    assert sha256("\n".join(sorted(lines)).encode()).hexdigest() == PUBLISHED_NAMES


def test_efficientnet_takes_weights_from_a_pickle_once_and_keeps_them_as_safetensors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    params = {"name": "efficientnet", "unfreeze": "all"}
    other = models.build(efficientnet.Params.model_validate(params), SPEC).get_submodule("base")
    torch.save(published(other.state_dict()) | {"_fc.weight": torch.zeros(1000, 1280)}, "efficientnet-lite0.pth")
    digest = sha256_file(Path("efficientnet-lite0.pth"))
    begun = efficientnet.Params.model_validate(params | {"pretrained": {"path": ".", "sha256": digest}})
    for _ in range(2):
        network = models.begin(begun, SPEC)
        assert all(
            torch.equal(value, network.state_dict()[f"base.{name}"]) for name, value in other.state_dict().items()
        )
    assert [file.name for file in Path(".tidemill/weights").iterdir()] == [f"{digest}.safetensors"]


@pytest.mark.parametrize(("size", "kernel", "stride"), [(7, 5, 2), (8, 5, 2), (8, 3, 2), (7, 3, 1), (1, 3, 2)])
def test_padding_is_that_of_tensorflow(size: int, kernel: int, stride: int) -> None:
    """Each output stands at `stride * i`, and what is padded is split with the larger half after the picture."""
    values = torch.arange(1.0, size * size + 1).reshape(1, 1, size, size)
    convolution = SameConvolution(1, 1, kernel, stride)
    torch.nn.init.ones_(convolution.weight)
    missing = max(0, ((size + stride - 1) // stride - 1) * stride + kernel - size)
    before, after = missing // 2, missing - missing // 2
    expected = functional.conv2d(
        functional.pad(values, (before, after, before, after)), convolution.weight, stride=stride
    )
    assert expected.shape[-1] == (size + stride - 1) // stride
    assert torch.equal(convolution(values), expected)


@pytest.mark.parametrize(("unfreeze", "trained_parts"), [(0, 0), (1, 1), (2, 2), ("all", 4)])
def test_a_step_changes_the_head_and_the_unfrozen_parts_alone(
    tmp_path: Path, unfreeze: int | str, trained_parts: int
) -> None:
    _, params = tiny_resnet(tmp_path)
    network = models.begin(resnet.Params.model_validate(params | {"unfreeze": unfreeze}), SPEC)
    assert isinstance(network, Transfer)
    before = [_content(part) for part in [*network.base.parts(), network.head]]
    optimizer = torch.optim.SGD([weight for weight in network.parameters() if weight.requires_grad], lr=0.1)
    network(pixels()).square().sum().backward()  # as built: Lightning puts no network into training mode
    optimizer.step()
    changed = [was != _content(part) for was, part in zip(before, [*network.base.parts(), network.head], strict=True)]
    assert changed == [False] * (4 - trained_parts) + [True] * trained_parts + [True]


def test_a_base_that_has_learned_nothing_cannot_be_frozen() -> None:
    with pytest.raises(ValueError, match="set unfreeze to all, or name pretrained"):
        resnet.Params.model_validate({"name": "resnet", "unfreeze": 2})


@pytest.mark.skipif(not PUBLISHED.exists(), reason="`tidemill fetch` has not brought data/efficientnet")
def test_published_features_tell_shapes_apart() -> None:
    """Discs and crosses of any place, size and colour, told apart by a line between a few features of each."""
    pin = {"path": str(PUBLISHED.parent), "sha256": sha256_file(PUBLISHED)}
    params = efficientnet.Params.model_validate({"name": "efficientnet", "pretrained": pin})
    network = models.begin(params, SPEC).eval()
    drawn, kinds = _drawn(48)
    with torch.inference_mode():
        features = network.get_submodule("base")(drawn)
    middle = {kind: features[:24][kinds[:24] == kind].mean(dim=0) for kind in (0, 1)}
    nearer = (features[24:] - middle[1]).norm(dim=1) < (features[24:] - middle[0]).norm(dim=1)
    assert (nearer.long() == kinds[24:]).float().mean() > 0.9


def _drawn(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures (rows, 3, 96, 96) of discs (0) and crosses (1)."""
    generator = torch.Generator().manual_seed(0)
    across, down = torch.meshgrid(torch.arange(96.0), torch.arange(96.0), indexing="xy")
    pictures, kinds = torch.empty(count, 3, 96, 96), torch.arange(count) % 2
    for picture, kind in zip(pictures, kinds, strict=True):
        place, size = 35 + 26 * torch.rand(2, generator=generator), 18 + 12 * torch.rand(1, generator=generator)
        x, y = across - place[0], down - place[1]
        disc = x.square() + y.square() < size.square()
        cross = ((x.abs() < 6) & (y.abs() < size)) | ((y.abs() < 6) & (x.abs() < size))
        ink, paper = torch.rand(2, 3, 1, 1, generator=generator)
        picture[:] = torch.where(cross if kind else disc, ink, 1 - ink * paper)
    return pictures, kinds


def _content(part: torch.nn.Module) -> bytes:
    return b"".join(value.detach().numpy().tobytes() for value in part.state_dict().values())
