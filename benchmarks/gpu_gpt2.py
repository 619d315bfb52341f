"""GPT-2 of 124 million weights on a GPU: tokens a second and model FLOPs utilisation, beside Trainer and a plain loop.

    python benchmarks/gpu_gpt2.py --rounds 3

Windows of drawn tokens, bfloat16, `torch.compile`, fused AdamW; each way takes the same steps on the same rows from the same
weights. A way's time is that of a long training less that of a short one, so starting and compiling do not count. Trainer
needs `pip install accelerate`, and is left out where that is missing.
"""

import argparse
import copy
import importlib.util
import time

import numpy as np
import torch
from timing import show
from torch.nn import functional
from train_gpt import in_their_format, theirs
from training import as_torch_has_it, ours

from tidemill.models.common import networks
from tidemill.models.gpt2 import Params
from tidemill.tasks.text_generation import learning as task
from tidemill.tokens.batches import Batches
from tidemill.tokens.shards import MemoryShards
from tidemill.training.params import Training
from tidemill.training.utilisation import mfu

SHAPE = Params(name="gpt2", width=768, heads=12, layers=12, dropout=0.0, compile=True)
PARAMS = Training(
    epochs=1, batch=16, optimizer="adamw", lr=6e-4, clip=1.0, keep="last", precision="bf16", determinism="fast"
)
VOCABULARY, LENGTH, SHORT = 50257, 1024, 10


def main() -> None:
    """Print tokens a second and utilisation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=60)
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        print("there is no GPU here: nothing was measured")
        return
    device = torch.cuda.get_device_name()
    print(f"{device}, torch {torch.__version__}, {arguments.steps} steps of {PARAMS.batch} windows of {LENGTH} tokens")
    network = networks.build(SHAPE, {"vocabulary": VOCABULARY, "length": LENGTH + 1})
    found = compared(network, arguments.rounds, arguments.steps)
    for name, rates in found.items():
        show(f"{name}, tokens/s", rates)
        shares = [mfu(network, rate, device, PARAMS) for rate in rates]
        if None not in shares:
            show(f"{name}, MFU", shares)


def compared(network: torch.nn.Module, rounds: int, steps: int) -> dict[str, list[float]]:
    """Tokens a second of each way, one a round; the ways take turns."""
    ways = {"tidemill": tidemill, "plain loop": loop}
    if importlib.util.find_spec("accelerate") is not None:
        ways["Trainer"] = trainer
    rows = np.random.default_rng(0).integers(0, network.tokens.num_embeddings, (steps * PARAMS.batch, network.length))
    short = rows[: SHORT * PARAMS.batch]
    found = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            seconds = timed(way, network, rows) - timed(way, network, short)
            found[name].append((len(rows) - len(short)) * (network.length - 1) / seconds)
    return found


def timed(way, network: torch.nn.Module, rows: np.ndarray) -> float:
    start = time.perf_counter()
    way(copy.deepcopy(network), rows)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def batches(rows: np.ndarray) -> Batches:
    return Batches(MemoryShards({"tokens": rows}), PARAMS.batch)


def tidemill(network: torch.nn.Module, rows: np.ndarray) -> None:
    ours(network, task, batches(rows), batches(rows[: PARAMS.batch]), PARAMS)


def trainer(network: torch.nn.Module, rows: np.ndarray) -> None:
    theirs(in_their_format(network, 0), rows, PARAMS, bf16=True, torch_compile=True)


def loop(network: torch.nn.Module, rows: np.ndarray) -> None:
    """As small GPT training scripts do it: autocast, a compiled network, fused AdamW, clipping."""
    as_torch_has_it(PARAMS)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network.to(device).train()
    optimizer = torch.optim.AdamW(network.parameters(), PARAMS.lr, weight_decay=0.0, fused=True)
    for batch in batches(rows):
        tokens = batch["tokens"].to(device)
        with torch.autocast(device, torch.bfloat16):
            logits = network(tokens[:, :-1])
            loss = functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), PARAMS.clip)
        optimizer.step()
        optimizer.zero_grad()


if __name__ == "__main__":
    main()
