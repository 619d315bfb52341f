"""What a network of texts reads of a batch, whether that holds tokens or n-grams."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def text_inputs(batch: "Mapping[str, torch.Tensor]") -> "tuple[torch.Tensor, torch.Tensor]":
    """Return n-grams and their weights (B, T), or token ids (B, T) and their lengths (B,)."""
    return (batch["ngrams"], batch["weights"]) if "ngrams" in batch else (batch["tokens"], batch["tokens_length"])
