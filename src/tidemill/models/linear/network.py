"""The linear model as a torch module."""

import torch
from torch import nn

from tidemill.core.spec import Spec
from tidemill.models.linear import Params, solver, weights

PRETRAINED_FILES = ()
load_pretrained = None

solve = solver.solve
explain = weights.explain


def build(params: Params, spec: Spec) -> "Linear":
    """Return a network from n-grams (B, T) and their weights (B, T) to logits (B, outputs); all its weights are 0."""
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
