"""Scaled dot-product attention, by the way of computing it that is fast on the device."""

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
    """Mixes of the values (rows, heads, places, width of a head), one for each query.

    On a CPU it is computed in float32 whatever the precision of the training: torch's attention takes three times as
    long backwards in bfloat16 there (`benchmarks/README.md`).

    Args:
        mask: True where a query may look at a key; four dimensions that broadcast to (rows, heads, queries, keys).
        dropout: share of the looks that is left out.
        causal: whether a place looks at no later one; without a mask only.
    """
    if queries.device.type != "cpu":
        return functional.scaled_dot_product_attention(queries, keys, values, mask, dropout, causal)
    with torch.autocast("cpu", enabled=False):
        return functional.scaled_dot_product_attention(
            queries.float(), keys.float(), values.float(), mask, dropout, causal
        )
