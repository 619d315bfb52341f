"""Training a small GPT-2 on the CPU, beside Hugging Face's Trainer: the same weights to begin with, texts and steps.

    python benchmarks/train_gpt.py --rounds 3

The ways take turns in one process. Ours: float32, float32 with `training.matmul: medium`, bfloat16. The peer:
`GPT2LMHeadModel` in `transformers.Trainer`, float32 as by default. The loss on held-out texts after the last step is shown
with each. The peer needs `pip install accelerate`.
"""

import argparse
import copy
import importlib.util
import time
from itertools import islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import torch
from timing import show
from tokenize_text import sources
from torch.nn import functional

from tidemill import models
from tidemill.config import Training
from tidemill.models.gpt2 import Params, hugging_face
from tidemill.tasks import text_generation
from tidemill.tokens import bpe
from tidemill.tokens.batches import Batches
from tidemill.tokens.shards import MemoryShards
from tidemill.training import determinism
from tidemill.training.fit import fit

LENGTH, BATCH, VOCABULARY, LR = 128, 8, 4096, 1e-3
SPEC = {"vocabulary": VOCABULARY, "length": LENGTH, "end": 0}
SHAPE = Params(name="gpt2", width=192, heads=6, layers=4, dropout=0.0)
WAYS = {"float32": {}, "float32, medium": {"matmul": "medium"}, "bfloat16": {"precision": "bf16"}}


def main() -> None:
    """Print seconds of a training, loss and ratios of the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    if importlib.util.find_spec("accelerate") is None:
        raise SystemExit("the peer needs accelerate: pip install accelerate")
    import transformers

    print(f"torch {torch.__version__}, transformers {transformers.__version__}, {arguments.steps} steps")
    train, valid = texts(arguments.steps)
    torch.manual_seed(0)
    first = models.build(SHAPE, SPEC)
    peer = "transformers.Trainer"
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in (*WAYS, peer)}
    for _ in range(arguments.rounds):
        for name, changed in WAYS.items():
            found[name].append(ours(copy.deepcopy(first), train, valid, arguments.threads, changed))
        found[peer].append(theirs(first, train, valid, arguments.threads))
    middle = {name: median(seconds for seconds, _ in values) for name, values in found.items()}
    for name, values in found.items():
        show(name, [seconds for seconds, _ in values])
        print(f"{'':24} loss {values[0][1]:.4f}, Trainer's time is {middle[peer] / middle[name]:.2f} times this")


def texts(steps: int) -> tuple[MemoryShards, MemoryShards]:
    """Windows to train on and to measure by: source files, in a vocabulary of their own."""
    documents = list(islice(sources(), 600))
    tokenizer = bpe.fit(documents, VOCABULARY)
    rows = np.lib.stride_tricks.sliding_window_view(bpe.encode(tokenizer, documents).values, LENGTH + 1)[::LENGTH]
    assert len(rows) >= steps * BATCH + 64, "too few texts for so many steps"
    return MemoryShards({"tokens": rows[: steps * BATCH]}), MemoryShards({"tokens": rows[-64:]})


def ours(network, train, valid, threads: int, changed: dict) -> tuple[float, float]:
    values = {"epochs": 1, "batch": BATCH, "optimizer": "adamw", "lr": LR, "clip": 1.0, "keep": "last"}
    params = Training.model_validate(values | {"threads": threads, "accelerator": "cpu"} | changed)
    with TemporaryDirectory() as folder:
        start = time.perf_counter()
        determinism.apply(params)
        batches = Batches(train, BATCH, shuffle=True)
        fit(network, text_generation, batches, Batches(valid, 32), params, Path(folder), lambda points: None)
        seconds = time.perf_counter() - start
    return seconds, loss(lambda tokens: network(tokens), valid)


def theirs(first, train, valid, threads: int) -> tuple[float, float]:
    from transformers import GPT2LMHeadModel, Trainer, TrainingArguments

    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision("highest")
    torch.use_deterministic_algorithms(False)
    with TemporaryDirectory() as folder:
        hugging_face.save(first, Path(folder) / "first", SPEC["end"])
        network = GPT2LMHeadModel.from_pretrained(Path(folder) / "first")
        items = [
            {"input_ids": row, "labels": row}
            for row in torch.from_numpy(train.columns["tokens"][:, :-1].astype("int64"))
        ]
        arguments = TrainingArguments(
            output_dir=folder, per_device_train_batch_size=BATCH, num_train_epochs=1, learning_rate=LR,
            lr_scheduler_type="constant", max_grad_norm=1.0, weight_decay=0.0, report_to=[], use_cpu=True,
            save_strategy="no", disable_tqdm=True, logging_steps=20, seed=0,
        )  # fmt: skip
        trainer = Trainer(model=network, args=arguments, train_dataset=items)
        start = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - start
    return seconds, loss(lambda tokens: network.eval()(tokens).logits, valid)


@torch.inference_mode()
def loss(logits, rows: MemoryShards) -> float:
    """Nats a token, in float32."""
    torch.set_float32_matmul_precision("highest")
    tokens = torch.from_numpy(rows.columns["tokens"].astype("int64"))
    return float(functional.cross_entropy(logits(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten()))


if __name__ == "__main__":
    main()
