"""Our own BERT and GPT-2 beside the same networks of `transformers`: what a network of our own is worth in our training.

    python benchmarks/networks.py --rounds 5

All ways are our training, one thread, on the same batches from the same weights, without dropout; each pair ends in the same
loss but for rounding. Ours: `model: {name: bert}` and `{name: gpt2}`. Theirs: `model: {name: transformers}` with a
checkpoint of these weights. Both once more in bfloat16. Our ResNet is the library's, and it has no EfficientNet-lite0:
there is nothing to compare.
"""

import argparse
import copy
import platform
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import transformers
from timing import compare, take_turns
from training import held_out_loss, ours, packed, some, spec

from tidemill.core.files import sha256_file
from tidemill.core.spec import Spec
from tidemill.models import bert, gpt2
from tidemill.models import transformers as library
from tidemill.models.bert import hugging_face as bert_files
from tidemill.models.common import networks
from tidemill.models.gpt2 import hugging_face as gpt2_files
from tidemill.tasks.text_classification import learning as labels
from tidemill.tasks.text_generation import learning as next_tokens
from tidemill.tokens.batches import Batches
from tidemill.tokens.shards import MemoryShards, Shards, windows
from tidemill.training.params import Training

BERT = bert.Params(name="bert", layers=2, positions=128, dropout=0.0, attention_dropout=0.0)
GPT2 = gpt2.Params(name="gpt2", width=192, heads=6, layers=4, dropout=0.0)
PARAMS = Training(epochs=1, optimizer="adamw", lr=1e-4, keep="last", accelerator="cpu")


def main() -> None:
    """Print CPU and wall seconds, and ratios of the medians, of each pair."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=15)
    arguments = parser.parse_args()
    print(f"{platform.machine()}, torch {torch.__version__}, transformers {transformers.__version__}")
    for pair in (texts, language_model):
        pair(arguments.rounds, arguments.steps)


def texts(rounds: int, steps: int) -> None:
    """BERT with labels, on reviews in batches of like lengths."""
    rows, held_out = some("sentiment", "train", 32 * steps), some("sentiment", "valid", 64)
    torch.manual_seed(0)
    network = networks.build(BERT, spec("sentiment"))
    with TemporaryDirectory() as folder:
        bert_files.save(network, BERT, Path(folder))
        theirs = networks.begin(checkpoint(folder), spec("sentiment"))
    print(f"BERT, {BERT.layers} layers {BERT.width} wide, {steps} steps of 32 reviews")

    def batches() -> Batches:
        return Batches(rows, 32, shuffle=True, bucket=labels.BUCKET)

    turns({"bert": network, "transformers": theirs}, labels, batches, held_out, rounds)


def language_model(rounds: int, steps: int) -> None:
    """GPT-2, on windows of the novels."""
    described: Spec = spec("stories")
    tokens = windows(Shards(packed("stories") / "train"), "tokens", described["length"] + 1).columns["tokens"]
    torch.manual_seed(0)
    network = networks.build(GPT2, described)
    with TemporaryDirectory() as folder:
        gpt2_files.save(network, Path(folder), described["end"])
        theirs = networks.begin(checkpoint(folder), described)
    print(f"GPT-2, {GPT2.layers} layers {GPT2.width} wide, {steps} steps of 8 windows of {described['length']} tokens")

    def batches() -> Batches:
        return Batches(MemoryShards({"tokens": tokens[: 8 * steps]}), 8)

    turns(
        {"gpt2": network, "transformers": theirs}, next_tokens, batches, MemoryShards({"tokens": tokens[-16:]}), rounds
    )


def turns(
    pair: dict[str, torch.nn.Module], task: Any, batches: Callable[[], Batches], held_out: MemoryShards, rounds: int
) -> None:
    """Let the networks of a pair take turns in our training, in two precisions."""

    def valid() -> Batches:
        return Batches(held_out, 16)

    def way(network: torch.nn.Module, precision: str) -> Callable[[], torch.nn.Module]:
        params = PARAMS.model_copy(update={"precision": precision})
        return lambda: ours(copy.deepcopy(network), task, batches(), valid(), params)

    for precision in ("32", "bf16"):
        ways = {f"{name}, {precision}": way(network, precision) for name, network in pair.items()}
        compare(take_turns(ways, rounds, lambda found: held_out_loss(found, task, valid())), tolerance=0.01)


def checkpoint(folder: str) -> library.Params:
    """The params that name a folder as a checkpoint."""
    pins = {name: sha256_file(Path(folder) / name) for name in ("config.json", "model.safetensors")}
    return library.Params.model_validate({"name": "transformers", "checkpoint": {"path": folder, "sha256": pins}})


if __name__ == "__main__":
    main()
