"""The three declared tiers: how far the same seed and data give the same weights."""

import os
import random

import numpy as np
import torch

from tidemill.config import Training
from tidemill.training import matmul


def apply(params: Training) -> None:
    """Seed everything, and hold torch to the tier of `training.determinism`.

    `bitwise`: deterministic algorithms only, and the declared number of threads, since a sum taken in another order
    ends in other bits. `tolerance`: seeded; algorithms may differ in their last bits. `fast`: everything allowed.
    """
    random.seed(params.seed)
    np.random.seed(params.seed)
    torch.manual_seed(params.seed)
    torch.set_num_threads(params.threads)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS is not deterministic
    torch.use_deterministic_algorithms(params.determinism == "bitwise")
    matmul.apply(params.matmul, device(params))
    torch.backends.cudnn.deterministic = params.determinism != "fast"
    torch.backends.cudnn.benchmark = params.determinism == "fast"


def device(params: Training) -> str:
    """Where torch trains: `cuda`, if there is one and the params allow it, else `cpu`."""
    return "cuda" if params.accelerator != "cpu" and torch.cuda.is_available() else "cpu"
