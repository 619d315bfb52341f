"""The linear model as a torch module."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from tidemill.core.spec import Spec
from tidemill.models.common.columns import Expanded
from tidemill.models.linear import Params, solver, weights
from tidemill.tokens.batches import Batches
from tidemill.tokens.columns import Column, column_inputs
from tidemill.tokens.shards import MemoryShards, Ragged, Shards

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

ROWS = 4096
"""Rows whose features are made at once."""

PRETRAINED_FILES = ()
load_pretrained = None

solve = solver.solve
explain = weights.explain


def build(params: Params, spec: Spec) -> "Linear":
    """Return a network from n-grams (B, T) and their weights (B, T), or from numbers (B, N) and categories (B, C), to logits
    (B, outputs); all its weights are 0."""
    if "columns" in spec:
        return OfColumns(spec["columns"], spec["outputs"])
    return Linear(spec["vocabulary"], spec["outputs"])


class Linear(nn.Module):
    """A weighted sum of the rows of a matrix (V, outputs), and a bias."""

    def __init__(self, vocabulary: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(vocabulary, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, ngrams: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Return logits (B, outputs); padding has weight 0."""
        summed = nn.functional.embedding_bag(ngrams, self.weight, mode="sum", per_sample_weights=weights)
        logits: torch.Tensor = summed + self.bias
        return logits

    def matrix(self, shards: Shards | MemoryShards) -> "csr_matrix":
        """Return the features (B, V) of packed rows."""
        from scipy.sparse import csr_matrix

        ngrams, weights = (shards.columns[name] for name in ("ngrams", "weights"))
        assert isinstance(ngrams, Ragged) and isinstance(weights, Ragged)
        parts = (weights.values.astype(np.float64), ngrams.values.astype(np.int32), ngrams.offsets.astype(np.int32))
        return csr_matrix(parts, shape=(len(ngrams), len(self.weight)))


class OfColumns(Linear):
    """The same of the features that columns make."""

    def __init__(self, columns: Sequence[Column], outputs: int) -> None:
        expanded = Expanded(columns)
        super().__init__(len(expanded.names), outputs)
        self.expanded = expanded

    def forward(self, numbers: torch.Tensor, categories: torch.Tensor) -> torch.Tensor:
        """Return logits (B, outputs)."""
        logits: torch.Tensor = self.expanded(numbers, categories) @ self.weight + self.bias
        return logits

    def matrix(self, shards: Shards | MemoryShards) -> "csr_matrix":
        """Return the features (B, F) of packed rows."""
        from scipy.sparse import csr_matrix, vstack

        parts = [self.expanded(*column_inputs(batch)).double() for batch in Batches(shards, ROWS)]
        return vstack([csr_matrix(part.numpy()) for part in parts], format="csr")
