"""A BERT classifier on real reviews: batches of like lengths, beside batches filled up to 128 tokens.

    tidemill new sentiment_lstm --preset sentiment_lstm && dvc repro tokenize@sentiment_lstm
    python benchmarks/train_bert.py --rounds 3

Two layers of MiniLM's width, random weights, no dropout, at most 100 tokens a text. All ways take the same steps on the
same rows from the same weights, and end in the same loss but for rounding:

- buckets: our training; once more with `training.precision: bf16`;
- filled up: the same training, each batch filled up to 128 tokens;
- transformers, filled up: `BertForSequenceClassification` on such batches in the least loop that trains.
"""

import argparse
import copy
import platform
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import transformers
from timing import compare, take_turns
from training import Padded, held_out_loss, ours, plain_loop, some, spec

from tidemill.models.bert import Params, hugging_face
from tidemill.models.common import networks
from tidemill.project.params import load_system
from tidemill.tasks.text_classification import learning as task
from tidemill.tokens.batches import Batches

LENGTH = 128
SHAPE = Params(name="bert", layers=2, positions=LENGTH, dropout=0.0, attention_dropout=0.0)


def main() -> None:
    """Print CPU and wall seconds, and ratios of the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=480)
    arguments = parser.parse_args()
    params = load_system("sentiment_lstm").training.model_copy(update={"epochs": 1, "lr": 1e-4, "keep": "last"})
    rows, held_out = some("sentiment_lstm", "train", arguments.rows), some("sentiment_lstm", "valid", 64)
    torch.manual_seed(0)
    network = networks.build(SHAPE, spec("sentiment_lstm"))
    peer = theirs(network)
    mean = rows.columns["tokens"].lengths.mean()
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}"
    print(f"{platform.machine()}, {versions}, {arguments.rows} texts of {mean:.0f} tokens, {params.batch} a step")

    def batches(kind: type[Batches]) -> Batches:
        cut = kind(rows, params.batch, shuffle=True, bucket=task.BUCKET)
        cut.length = LENGTH
        return cut

    def valid() -> Batches:
        return Batches(held_out, params.batch)

    def tidemill(kind: type[Batches], **changed: str) -> torch.nn.Module:
        changed_params = params.model_copy(update=changed)
        return ours(copy.deepcopy(network), task, batches(kind), valid(), changed_params)

    ways = {
        "buckets": lambda: tidemill(Batches),
        "buckets, bf16": lambda: tidemill(Batches, precision="bf16"),
        "filled up": lambda: tidemill(Padded),
        "transformers, filled up": lambda: plain_loop(copy.deepcopy(peer), task, batches(Padded), params),
    }
    compare(take_turns(ways, arguments.rounds, lambda found: held_out_loss(found, task, valid())), tolerance=0.01)


class Theirs(torch.nn.Module):
    """The library's classifier, called as the task's step calls ours."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, tokens: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        inside = torch.arange(tokens.shape[1]) < lengths[:, None]
        return self.network(input_ids=tokens, attention_mask=inside.long()).logits


def theirs(network: torch.nn.Module) -> Theirs:
    """The same weights in the library's network."""
    with TemporaryDirectory() as folder:
        hugging_face.save(network, SHAPE, Path(folder))
        return Theirs(transformers.BertForSequenceClassification.from_pretrained(folder))


if __name__ == "__main__":
    main()
