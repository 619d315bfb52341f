"""Networks of one model as one network: the mean of their probabilities."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional


class Ensemble(nn.Module):
    """Networks that each give logits of labels.

    Args:
        several: whether a row may have several labels, so that each logit is of a probability by itself.
    """

    def __init__(self, members: Sequence[nn.Module], several: bool) -> None:
        super().__init__()
        self.members, self.several = nn.ModuleList(members), several

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Return the logits (B, outputs), float64, of the mean of the members' probabilities."""
        logits = torch.stack([member(*inputs) for member in self.members]).double()
        if self.several or logits.shape[-1] == 1:
            return functional.logsigmoid(logits).logsumexp(0) - functional.logsigmoid(-logits).logsumexp(0)
        return logits.log_softmax(-1).logsumexp(0) - torch.tensor(float(len(self.members))).double().log()
