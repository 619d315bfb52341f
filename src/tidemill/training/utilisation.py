"""What a training costs, and how much of the machine's arithmetic it uses."""

import resource
import sys
import time

import torch

from tidemill.tracking.points import Point
from tidemill.training.outcome import Outcome
from tidemill.training.params import Training

PEAKS = {
    ("H100", "bf16"): 989e12,
    ("H100 PCIe", "bf16"): 756e12,
    ("H100 NVL", "bf16"): 835e12,
    ("H200", "bf16"): 989e12,
    ("A100", "bf16"): 312e12,
    ("L4", "bf16"): 121e12,
    ("T4", "16"): 65e12,
}
"""Dense FLOP/s from the vendors' data sheets, by words of the device's name and the precision."""


def costs(outcome: Outcome, seconds: float) -> list[Point]:
    """Return what this process took, as points for the tracking store: they differ in every run."""
    measured = {
        "seconds": seconds,
        "peak_memory_mb": peak_memory() / 1e6,
        "samples_per_second": outcome.rows_per_second,
        "tokens_per_second": outcome.tokens_per_second or None,
        "mfu": outcome.mfu,
    }
    now = time.time_ns() // 1_000_000
    return [Point(f"perf/{name}", value, 0, now) for name, value in measured.items() if value is not None]


def mfu(network: torch.nn.Module, tokens_per_second: float, device: str, params: Training) -> float | None:
    """Return the model FLOPs utilisation: FLOP/s that the network needs, as a share of the device's peak.

    Chowdhery et al., PaLM, 2022, appendix B. Recomputation and the optimizer do not count. None where the peak of
    the device, or the cost of a token in this network, is not known.
    """
    peak = PEAKS.get((_model(device), params.precision))
    flops = getattr(network, "flops_per_token", None)
    return None if peak is None or flops is None else float(flops * tokens_per_second / peak)


def peak_memory() -> int:
    """Return the peak memory of this process in bytes: of the GPU if it used one, else of the machine."""
    if torch.cuda.is_available() and (held := torch.cuda.max_memory_allocated()):
        return held
    unit = 1 if sys.platform == "darwin" else 1024  # Linux counts in KiB, macOS in bytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _model(device: str) -> str:
    """Return the part of `NVIDIA H100 80GB HBM3` or `Tesla T4` that the peaks go by; the fullest where several fit."""
    words = set(device.replace("-", " ").split())
    fitting = [name for name, _ in PEAKS if words.issuperset(name.split())]
    return max(fitting, key=len, default="")
