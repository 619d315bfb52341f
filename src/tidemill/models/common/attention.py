"""Scaled dot-product attention, by the kernel that is fast on the device."""

import torch
from torch.nn import functional


def attend(
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    mask: torch.Tensor | None = None,
    dropout: float = 0.0,
    causal: bool = False,
) -> torch.Tensor:
    """Return a weighted sum of the values (B, N, T, D / N) for each query, with N heads and keys of the same shape.

    On a CPU it is computed in float32 whatever the precision of the training: there the backward pass of torch's
    attention takes three times as long in bfloat16 (`benchmarks/README.md`).

    Args:
        mask: True where a query may attend to a key; four dimensions that broadcast to (B, N, queries, keys).
        dropout: share of the attention weights that are dropped.
        causal: whether a position attends to no later one; only without a mask.
    """
    if queries.device.type != "cpu":
        return functional.scaled_dot_product_attention(queries, keys, values, mask, dropout, causal)
    with torch.autocast("cpu", enabled=False):
        return functional.scaled_dot_product_attention(
            queries.float(), keys.float(), values.float(), mask, dropout, causal
        )
