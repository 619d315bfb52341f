"""The sentiment LSTM on real reviews: batches of like lengths, beside batches filled up to 100 tokens.

    tidemill new sentiment_lstm --preset sentiment_lstm && dvc repro tokenize@sentiment_lstm
    python benchmarks/train_lstm.py --rounds 3

All ways take the same steps on the same rows from the same weights; rounding alone sets their losses apart, which early in
a training grows to some thousandths:

- buckets: our training; once more with `training.precision: bf16`;
- filled up: the same training, each batch filled up to 100 tokens;
- filled up, plain loop: a DataLoader of single texts, filled up to 100 tokens, in the least loop that trains.
"""

import argparse
import copy
import platform

import torch
from timing import compare, take_turns
from torch.utils.data import DataLoader, Dataset
from training import Padded, held_out_loss, ours, plain_loop, some, spec

from tidemill.models.common import networks
from tidemill.project.params import load_system
from tidemill.tasks.text_classification import learning as task
from tidemill.tokens.batches import Batches

LENGTH = 100


def main() -> None:
    """Print CPU and wall seconds, and ratios of the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=4800)
    arguments = parser.parse_args()
    system = load_system("sentiment_lstm")
    params = system.training.model_copy(update={"epochs": 1, "keep": "last"})
    rows, held_out = some("sentiment_lstm", "train", arguments.rows), some("sentiment_lstm", "valid", 128)
    torch.manual_seed(0)
    network = networks.build(system.model, spec("sentiment_lstm"))
    batches = Batches(rows, params.batch, shuffle=True, bucket=task.BUCKET)
    mean = batches.shards.columns["tokens"].lengths.mean()
    print(
        f"{platform.machine()}, torch {torch.__version__}, {len(batches)} steps of {params.batch}, {mean:.0f} tokens a text"
    )

    def train(kind: type[Batches], precision: str = "32") -> torch.nn.Module:
        taken = kind(rows, params.batch, shuffle=True, bucket=task.BUCKET)
        taken.length = LENGTH
        return ours(copy.deepcopy(network), task, taken, valid(), params.model_copy(update={"precision": precision}))

    def valid() -> Batches:
        return Batches(held_out, params.batch * 4)

    def loop() -> torch.nn.Module:
        loader = DataLoader(Texts(batches), batch_sampler=[part.tolist() for part in batches.plan()])
        return plain_loop(copy.deepcopy(network), task, loader, params)

    ways = {
        "buckets": lambda: train(Batches),
        "buckets, bf16": lambda: train(Batches, "bf16"),
        "filled up": lambda: train(Padded),
        "filled up, plain loop": loop,
    }
    compare(take_turns(ways, arguments.rounds, lambda found: held_out_loss(found, task, valid())), tolerance=0.03)


class Texts(Dataset):
    """A text an item, filled up, as a DataLoader's default collation needs it."""

    def __init__(self, batches: Batches) -> None:
        self.tokens, self.labels = (batches.shards.columns[name] for name in ("tokens", "labels"))

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> dict[str, torch.Tensor]:
        text = torch.from_numpy(self.tokens[row].astype("int64"))
        filled = torch.nn.functional.pad(text, (0, LENGTH - len(text)))
        return {
            "tokens": filled,
            "tokens_length": torch.tensor(len(text)),
            "labels": torch.tensor(int(self.labels[row])),
        }


if __name__ == "__main__":
    main()
