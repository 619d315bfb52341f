"""Training a small GPT-2 on the CPU, beside Hugging Face's Trainer: the same first weights, texts, steps and order.

    python benchmarks/train_gpt.py --rounds 3

The ways take turns in one process, on windows of the shipped novels. Ours: float32; float32 with `training.matmul: medium`;
bfloat16. The peer: `GPT2LMHeadModel` in `transformers.Trainer`, float32 as by default, and bfloat16. The losses on held-out
windows agree but for rounding. The peer needs `pip install accelerate`.
"""

import argparse
import copy
import importlib.util
import platform
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from timing import compare, take_turns
from training import as_torch_has_it, held_out_loss, ours, packed, spec

from tidemill.models.common import networks
from tidemill.models.gpt2 import Params, hugging_face
from tidemill.tasks.text_generation import learning as task
from tidemill.tokens.batches import Batches
from tidemill.tokens.shards import MemoryShards, Shards, windows
from tidemill.training.params import Training

SHAPE = Params(name="gpt2", width=192, heads=6, layers=4, dropout=0.0)
PARAMS = Training(epochs=1, batch=8, optimizer="adamw", lr=1e-3, clip=1.0, keep="last", accelerator="cpu")


def main() -> None:
    """Print CPU and wall seconds, and ratios of the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20)
    arguments = parser.parse_args()
    if importlib.util.find_spec("accelerate") is None:
        print("transformers.Trainer, the peer, needs accelerate: `pip install accelerate`; nothing was measured")
        return
    import accelerate
    import transformers

    versions = f"transformers {transformers.__version__}, accelerate {accelerate.__version__}"
    print(f"{platform.machine()}, torch {torch.__version__}, {versions}, {arguments.steps} steps of {PARAMS.batch}")
    described = spec("stories")
    tokens = windows(Shards(packed("stories") / "train"), "tokens", described["length"] + 1).columns["tokens"]
    rows, held_out = tokens[: arguments.steps * PARAMS.batch], MemoryShards({"tokens": tokens[-16:]})
    torch.manual_seed(0)
    network = networks.build(
        SHAPE, described | {"length": described["length"] + 1}
    )  # the peer reads a window's last token
    peer = in_their_format(network, described["end"])

    def valid() -> Batches:
        return Batches(held_out, 16)

    def tidemill(**changed: str) -> torch.nn.Module:
        batches = Batches(MemoryShards({"tokens": rows}), PARAMS.batch)
        return ours(copy.deepcopy(network), task, batches, valid(), PARAMS.model_copy(update=changed))

    ways = {
        "tidemill": tidemill,
        "tidemill, medium": lambda: tidemill(matmul="medium"),
        "tidemill, bf16": lambda: tidemill(precision="bf16"),
        "Trainer": lambda: theirs(copy.deepcopy(peer), rows, PARAMS, use_cpu=True),
        "Trainer, bf16": lambda: theirs(copy.deepcopy(peer), rows, PARAMS, use_cpu=True, bf16=True),
    }
    compare(take_turns(ways, arguments.rounds, lambda found: held_out_loss(found, task, valid())), tolerance=0.02)


def in_their_format(network: torch.nn.Module, end: int) -> torch.nn.Module:
    """The same weights in the library's network."""
    from transformers import GPT2LMHeadModel

    with TemporaryDirectory() as folder:
        hugging_face.save(network, Path(folder), end)
        return GPT2LMHeadModel.from_pretrained(folder)


class Logits(torch.nn.Module):
    """The library's network, called as the task's step calls ours."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.network(input_ids=tokens).logits


def theirs(network: torch.nn.Module, rows: np.ndarray, params: Training, **changed: bool) -> Logits:
    """They get whole windows: the library's loss shifts the labels itself, so it predicts the same tokens as ours."""
    from transformers import Trainer, TrainingArguments

    as_torch_has_it(params)
    items = [{"input_ids": row, "labels": row} for row in torch.from_numpy(rows.astype("int64"))]
    with TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder, per_device_train_batch_size=params.batch, num_train_epochs=1, learning_rate=params.lr,
            lr_scheduler_type="constant", max_grad_norm=params.clip, weight_decay=0.0, train_sampling_strategy="sequential",
            report_to=[], save_strategy="no", disable_tqdm=True, seed=0, **changed,
        )  # fmt: skip
        Trainer(model=network, args=arguments, train_dataset=items).train()
    return Logits(network)


if __name__ == "__main__":
    main()
