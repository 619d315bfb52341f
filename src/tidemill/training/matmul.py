"""Faster multiplication of float32 matrices, where it is as exact as float32 has to be.

`torch.set_float32_matmul_precision("medium")` lets a backend do as it likes: on some CPUs that is another float32 kernel,
on others, and on GPUs, 8 or 11 bits instead of 24. Only a measurement tells which.
"""

import torch

BOUND = 2e-6
"""Largest error that passes for float32, as a share of the sum of the products' sizes; bfloat16's is about 2e-3."""
SIZE = 512


def apply(precision: str, device: str) -> str:
    """Set the precision, or `highest` if this one's error is too large on this device; return the one that was set."""
    torch.set_float32_matmul_precision(precision)
    if precision == "highest" or (found := error(device)) <= BOUND:
        return precision
    torch.set_float32_matmul_precision("highest")
    print(
        f"training.matmul: {precision} has an error of {found:.1e} on this {device}, more than {BOUND:.0e}: "
        "highest is used instead",
        flush=True,
    )
    return "highest"


def error(device: str) -> float:
    """Largest error of a product beside float64's, as a share of the sum of the products' sizes."""
    draw = torch.Generator().manual_seed(0)
    left, right = (torch.randn(SIZE, SIZE, generator=draw) for _ in range(2))
    product = (left.to(device) @ right.to(device)).cpu().double()
    exact, size = left.double() @ right.double(), left.double().abs() @ right.double().abs()
    return float(((product - exact).abs() / size).max())
