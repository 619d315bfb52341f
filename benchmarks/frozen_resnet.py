"""What ten epochs on a frozen ResNet-50 cost beside one: its features are computed once.

    python benchmarks/frozen_resnet.py --rounds 3

The way of the train stage (`tidemill.training.run.train_system`) on drawn pictures, with random weights of the base: neither
changes what a step costs. Beside it one epoch in which every step runs the base, as a loop without kept features would in
each epoch; it takes the same steps and ends in the same loss as our one epoch.
"""

import argparse
import io
import platform
import shutil
from contextlib import chdir, redirect_stdout
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import torch
import transformers
from safetensors.torch import save_file
from timing import ROOT, Cost, show, take_turns
from training import held_out_loss, ours

from tidemill.core.files import sha256_file
from tidemill.core.spec import Spec
from tidemill.models.common import networks
from tidemill.models.common.networks import WEIGHTS
from tidemill.models.resnet import Params
from tidemill.project.params import System, load_system
from tidemill.tasks.image_classification import learning as task
from tidemill.tokens.batches import Batches
from tidemill.tokens.shards import Shards, ShardWriter
from tidemill.training import determinism
from tidemill.training.run import train_system

LABELS, TOLERANCE = 10, 1e-4
FEATURES = Path("features")


def main() -> None:
    """Print CPU and wall seconds of one and of ten epochs, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pictures", type=int, default=256)
    parser.add_argument("--side", type=int, default=64)
    arguments = parser.parse_args()
    spec: Spec = {"outputs": LABELS, "shape": [arguments.side, arguments.side, 3]}
    print(
        f"{platform.machine()}, torch {torch.__version__}, transformers {transformers.__version__}, {arguments.pictures} pictures"
    )
    with TemporaryDirectory() as folder, chdir(folder):
        packed = drawn(Path("artifacts/pictures/tokenize"), arguments.pictures, arguments.side)
        system = frozen(Path("base"), spec)
        ways = {
            "one epoch": lambda: stage(system, spec, packed, 1),
            "ten epochs": lambda: stage(system, spec, packed, 10),
            "one epoch, base in each step": lambda: without_features(system, spec, packed),
        }
        valid = Batches(Shards(packed / "valid"), 32)
        found = take_turns(ways, arguments.rounds, lambda network: held_out_loss(network, task, valid))
    report(found)


def drawn(folder: Path, pictures: int, side: int) -> Path:
    """Packed pictures of noise."""
    draw = np.random.default_rng(0)
    for split, rows in (("train", pictures), ("valid", pictures // 8)):
        with ShardWriter(folder / split) as writer:
            pixels = draw.integers(0, 256, (rows, side, side, 3)).astype(np.uint8)
            writer.append({"pixels": pixels, "labels": draw.integers(0, LABELS, rows).astype(np.int32)})
    return folder


def frozen(folder: Path, spec: Spec) -> System:
    """The shipped system of photographs, on a ResNet-50 whose pinned weights are random ones."""
    torch.manual_seed(0)
    base = networks.build(Params(name="resnet", unfreeze="all"), spec).base
    folder.mkdir()
    save_file({f"base.{name}": value.contiguous() for name, value in base.state_dict().items()}, folder / WEIGHTS)
    pinned = {"path": str(folder), "sha256": sha256_file(folder / WEIGHTS)}
    system = load_system("photos", ROOT / "params.yaml")
    training = system.training.model_copy(update={"keep": "last"})
    return system.model_copy(update={"model": Params(name="resnet", pretrained=pinned), "training": training})


def stage(system: System, spec: Spec, packed: Path, epochs: int) -> torch.nn.Module:
    """Train from nothing: features that an earlier way kept are removed first."""
    shutil.rmtree(FEATURES, ignore_errors=True)
    params = system.training.model_copy(update={"epochs": epochs})
    with TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
        checkpoints = Path(folder)
        outcome = train_system(
            system.task, system.model, params, spec, packed, checkpoints, lambda points: None, FEATURES
        )
    return outcome.network


def without_features(system: System, spec: Spec, packed: Path) -> torch.nn.Module:
    params = system.training.model_copy(update={"epochs": 1})
    determinism.apply(params)
    network = networks.begin(system.model, spec).train()
    rows = {split: Shards(packed / split) for split in ("train", "valid")}
    batches = Batches(rows["train"], params.batch, shuffle=True, seed=params.seed)
    return ours(network, task, batches, Batches(rows["valid"], params.batch), params)


def report(found: dict[str, list[Cost]]) -> None:
    for name, costs in found.items():
        show(f"{name}, CPU s", [cost.cpu for cost in costs])
        show(f"{name}, wall s", [cost.wall for cost in costs])
    one, ten, whole = (median(cost.cpu for cost in costs) for costs in found.values())
    print(
        f"ten epochs are {ten / one:.2f} times one; with the base in each step about {10 * whole / ten:.1f} times ours"
    )
    (loss, *_), _, (other, *_) = found.values()
    if abs(loss.loss - other.loss) > TOLERANCE:
        raise SystemExit(f"one epoch: loss {loss.loss:.6f} with kept features, {other.loss:.6f} without")
    print(f"one epoch: loss {loss.loss:.6f} with kept features, {other.loss:.6f} without: within {TOLERANCE}")


if __name__ == "__main__":
    main()
