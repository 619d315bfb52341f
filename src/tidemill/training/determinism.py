"""The three declared tiers: how far the same seed and data give the same weights."""

import os
import random

import numpy as np
import torch

from tidemill.config import Training


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
    torch.backends.cudnn.deterministic = params.determinism != "fast"
    torch.backends.cudnn.benchmark = params.determinism == "fast"
