"""What a training makes of its machine: the share of its arithmetic, and the memory."""

import resource
import sys

import torch

from tidemill.config import Training

PEAKS = {
    ("H100", "bf16"): 989e12,
    ("H100 PCIe", "bf16"): 756e12,
    ("H100 NVL", "bf16"): 835e12,
    ("H200", "bf16"): 989e12,
    ("A100", "bf16"): 312e12,
    ("L4", "bf16"): 121e12,
    ("T4", "16"): 65e12,
}
"""Dense FLOPs a second of the makers' data sheets, by words of the device's name and the precision."""


def mfu(network: torch.nn.Module, tokens_per_second: float, device: str, params: Training) -> float | None:
    """Model FLOPs utilisation: what the network had to compute, as a share of what the device can.

    Chowdhery et al., PaLM, 2022, appendix B. Recomputation and the optimizer do not count. None where the device's
    peak, or what a token of this network costs, is not known.
    """
    peak = PEAKS.get((_model(device), params.precision))
    flops = getattr(network, "flops_per_token", None)
    return None if peak is None or flops is None else float(flops * tokens_per_second / peak)


def peak_memory() -> int:
    """Bytes that this process has held at most: of the GPU where it used one, else of the machine."""
    if torch.cuda.is_available() and (held := torch.cuda.max_memory_allocated()):
        return held
    unit = 1 if sys.platform == "darwin" else 1024  # Linux counts in KiB, macOS in bytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _model(device: str) -> str:
    """The part of `NVIDIA H100 80GB HBM3` or `Tesla T4` that the peaks go by; the fullest where several fit."""
    words = set(device.replace("-", " ").split())
    fitting = [name for name, _ in PEAKS if words.issuperset(name.split())]
    return max(fitting, key=len, default="")
