"""The digits network on packed pixels, beside the same network on a DataLoader of single pictures.

    python benchmarks/train_digits.py --rounds 3

All ways take the same steps on the same rows from the same weights, and end in the same loss but for rounding:

- tidemill: our training, batches cut whole from packed shards; once more with `training.matmul: medium` and with
  `training.precision: bf16`;
- Lightning, pictures: each item made a picture and then a tensor, as torchvision's MNIST with `ToTensor` does it;
- Lightning, tensors: the pixels lie in memory as one tensor, an item is a row of it;
- plain loop, pictures: as the first of the peers, in the least loop that trains.
"""

import argparse
import copy
import platform
from collections.abc import Callable

import numpy as np
import pytorch_lightning as lightning
import torch
from PIL import Image
from timing import compare, take_turns
from torch.utils.data import DataLoader, Dataset
from training import as_torch_has_it, held_out_loss, ours, plain_loop, some, spec

from tidemill.models.common import networks
from tidemill.project.params import load_system
from tidemill.tasks.image_classification import learning as task
from tidemill.tokens.batches import Batches
from tidemill.training.params import Training


def main() -> None:
    """Print CPU and wall seconds, and ratios of the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=24_000)
    arguments = parser.parse_args()
    system = load_system("digits")
    params = system.training.model_copy(update={"epochs": 1})
    rows, held_out = some("digits", "train", arguments.rows), some("digits", "valid", 512)
    torch.manual_seed(0)
    network = networks.build(system.model, spec("digits"))
    batches = Batches(rows, params.batch, shuffle=True)
    versions = f"torch {torch.__version__}, pytorch-lightning {lightning.__version__}"
    print(f"{platform.machine()}, {versions}, {len(batches)} steps of {params.batch}")

    def valid() -> Batches:
        return Batches(held_out, params.batch * 4)

    def tidemill(**changed: str) -> torch.nn.Module:
        taken = Batches(rows, params.batch, shuffle=True)
        return ours(copy.deepcopy(network), task, taken, valid(), params.model_copy(update=changed))

    def loader(picture: Callable[[np.ndarray], torch.Tensor]) -> DataLoader:
        return DataLoader(Pictures(rows.columns, picture), batch_sampler=[part.tolist() for part in batches.plan()])

    ways = {
        "tidemill": tidemill,
        "tidemill, medium": lambda: tidemill(matmul="medium"),
        "tidemill, bf16": lambda: tidemill(precision="bf16"),
        "Lightning, pictures": lambda: theirs(copy.deepcopy(network), loader(opened), params),
        "Lightning, tensors": lambda: theirs(copy.deepcopy(network), loader(row), params),
        "plain loop, pictures": lambda: plain_loop(copy.deepcopy(network), Scaled, loader(opened), params),
    }
    compare(take_turns(ways, arguments.rounds, lambda found: held_out_loss(found, task, valid())), tolerance=0.01)


class Pictures(Dataset):
    """A picture an item."""

    def __init__(self, columns: dict[str, np.ndarray], picture: Callable[[np.ndarray], torch.Tensor]) -> None:
        self.pixels, self.labels, self.picture = columns["pixels"], columns["labels"], picture

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, number: int) -> tuple[torch.Tensor, int]:
        return self.picture(self.pixels[number]), int(self.labels[number])


def opened(pixels: np.ndarray) -> torch.Tensor:
    """By way of a picture of the imaging library."""
    picture = Image.fromarray(pixels[..., 0])
    return torch.from_numpy(np.array(picture, copy=True)).view(28, 28, 1).permute(2, 0, 1).contiguous().div(255)


def row(pixels: np.ndarray) -> torch.Tensor:
    """As it lies in memory."""
    return torch.from_numpy(pixels).permute(2, 0, 1) / 255


class Scaled:
    """The task's step on pictures that are numbers from 0 to 1 already."""

    @staticmethod
    def step(network: torch.nn.Module, batch: list[torch.Tensor], smoothing: float) -> tuple[torch.Tensor, dict]:
        logits, labels = network(batch[0]), batch[1]
        loss = torch.nn.functional.cross_entropy(logits, labels, label_smoothing=smoothing)
        return loss, {"accuracy": (logits.argmax(1) == labels).float().mean()}


class Usual(lightning.LightningModule):
    """A Lightning module as its documentation writes it: metrics by `self.log`."""

    def __init__(self, network: torch.nn.Module, lr: float) -> None:
        super().__init__()
        self.network, self.lr = network, lr

    def training_step(self, batch: list[torch.Tensor], number: int) -> torch.Tensor:
        loss, metrics = Scaled.step(self.network, batch, 0.0)
        self.log_dict({"loss": loss, **metrics})
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), self.lr)


def theirs(network: torch.nn.Module, loader: DataLoader, params: Training) -> torch.nn.Module:
    as_torch_has_it(params)
    trainer = lightning.Trainer(
        accelerator="cpu", devices=1, max_epochs=params.epochs, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(Usual(network, params.lr), loader)
    return network


if __name__ == "__main__":
    main()
