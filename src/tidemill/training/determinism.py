"""The three tiers of determinism: how closely the same seed and data give the same weights."""

import os
import random
from pathlib import Path

import numpy as np
import torch

from tidemill.training import matmul
from tidemill.training.params import Training


def apply(params: Training) -> None:
    """Seed everything, and set torch to the tier of `training.determinism`.

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


def with_precision(params: Training) -> Training:
    """Return the params with `precision: auto` resolved for this machine."""
    if params.precision != "auto":
        return params
    native = torch.cuda.is_bf16_supported(including_emulation=False) if device(params) == "cuda" else _cpu_has_bf16()
    return params.model_copy(update={"precision": "bf16" if native else "32"})


def _cpu_has_bf16() -> bool:
    """Return whether the processor multiplies bfloat16 itself: where it does not, bf16 is slower than float32."""
    flags = Path("/proc/cpuinfo")
    words = set(flags.read_text(encoding="utf-8").split()) if flags.exists() else set[str]()
    return bool(words & {"avx512_bf16", "amx_bf16"})


def device(params: Training) -> str:
    """Return the device that torch trains on: `cuda` if there is one and the params allow it, else `cpu`."""
    return "cuda" if params.accelerator != "cpu" and torch.cuda.is_available() else "cpu"
