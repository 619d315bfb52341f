"""Model FLOPs utilisation: what the network had to compute, as a share of what the device can.

Chowdhery et al., PaLM, 2022, appendix B. Recomputation and the optimizer do not count.
"""

import torch

from tidemill.config import Training

PEAKS = {
    ("H100", "bf16"): 989e12,
    ("H200", "bf16"): 989e12,
    ("A100", "bf16"): 312e12,
    ("L4", "bf16"): 121e12,
    ("T4", "16"): 65e12,
}
"""Dense FLOPs a second of the makers' data sheets, by a word of the device's name and the precision."""


def mfu(network: torch.nn.Module, tokens_per_second: float, device: str, params: Training) -> float | None:
    """None where the device's peak, or what a token of this network costs, is not known."""
    peak = PEAKS.get((_word(device), params.precision))
    flops = getattr(network, "flops_per_token", None)
    return None if peak is None or flops is None else float(flops * tokens_per_second / peak)


def _word(device: str) -> str:
    """The part of `NVIDIA H100 80GB HBM3` or `Tesla T4` that the peaks go by."""
    words = device.replace("-", " ").split()
    return next((word for word in words if any(word == name for name, _ in PEAKS)), "")
