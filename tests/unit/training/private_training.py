"""A small private training, in a process that a test may kill: `python private_training.py FOLDER`."""

import json
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tidemill.tasks.common import learning
from tidemill.tokens.batches import Batches
from tidemill.tokens.shards import MemoryShards
from tidemill.training import determinism
from tidemill.training.fit import fit
from tidemill.training.outcome import Outcome
from tidemill.training.params import Privacy, Training
from tidemill.training.privacy import PoissonBatches

PRIVACY = Privacy(epsilon=3.0, delta=1e-3)
TRAINING = Training(epochs=3, batch=64, lr=0.01, privacy=PRIVACY, save_every=3, log_every=2)


def rows(count: int, seed: int) -> MemoryShards:
    """Pictures of 3 x 3 pixels, labelled by their brighter half."""
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 3, 3, 1), np.uint8)
    labels = (pixels[:, 0].sum(axis=(1, 2)) > pixels[:, 2].sum(axis=(1, 2))).astype(np.int32)
    return MemoryShards({"pixels": pixels, "labels": labels})


def train(folder: Path, params: Training = TRAINING) -> Outcome:
    """Train a network with dropout, or resume from the checkpoint in the folder."""
    determinism.apply(params)
    network = nn.Sequential(nn.Flatten(), nn.Linear(9, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 2))
    batches, valid = PoissonBatches(rows(400, 0), params.batch, seed=params.seed), Batches(rows(100, 1), 100)
    return fit(network, learning.of("image_classification"), batches, valid, params, folder, lambda points: None)


def digest(outcome: Outcome) -> dict[str, Any]:
    """Hash the weights, and say what was spent."""
    weights = b"".join(value.numpy().tobytes() for value in outcome.network.state_dict().values())
    return {"weights": sha256(weights).hexdigest(), "privacy": outcome.privacy}


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps(digest(train(Path(sys.argv[1])))))
