"""The recurrent classifier as a torch module."""

import torch
from torch import nn

from tidemill.core.spec import Spec
from tidemill.models.lstm import Params

PRETRAINED_FILES = ()
load_pretrained = None
solve = None
explain = None


def build(params: Params, spec: Spec) -> "RecurrentClassifier":
    """Return a network from tokens (B, T) and lengths (B,) to logits (B, outputs)."""
    return RecurrentClassifier(params, spec["vocabulary"], spec["outputs"])


class RecurrentClassifier(nn.Module):
    """Embedding, LSTM, pooling, linear layer.

    Short rows are padded at their end and read together with the rest: the states of a forward LSTM before the padding
    do not depend on it, and packing takes three times as long. A backward LSTM reads each row reversed within its own
    length for the same reason.
    """

    def __init__(self, params: Params, vocabulary: int, outputs: int) -> None:
        super().__init__()
        self.pooling = params.pooling
        self.embedding = nn.Embedding(vocabulary, params.embedding, padding_idx=0)
        self.dropout = nn.Dropout(params.dropout)
        self.forward_lstm = nn.LSTM(params.embedding, params.hidden, params.layers, batch_first=True)
        self.backward_lstm = (
            nn.LSTM(params.embedding, params.hidden, params.layers, batch_first=True) if params.bidirectional else None
        )
        self.head = nn.Linear(params.hidden * (2 if params.bidirectional else 1), outputs)

    def forward(self, tokens: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return logits (B, outputs) for tokens (B, T) and lengths (B,)."""
        embedded = self.dropout(self.embedding(tokens))
        pooled = [self._pooled(self.forward_lstm(embedded)[0], lengths)]
        if self.backward_lstm is not None:
            pooled.append(self._pooled(self.backward_lstm(_reversed(embedded, lengths))[0], lengths))
        logits: torch.Tensor = self.head(self.dropout(torch.cat(pooled, dim=1)))
        return logits

    def _pooled(self, states: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Pool states (B, T, D) to (B, D), ignoring the padding."""
        if self.pooling == "last":
            return states[torch.arange(len(states), device=states.device), lengths - 1]
        inside = torch.arange(states.shape[1], device=states.device) < lengths[:, None]
        return states.masked_fill(~inside[:, :, None], -torch.inf).amax(dim=1)


def _reversed(values: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Reverse each row of values (B, T, D) within its own length; the padding stays at the end."""
    place = torch.arange(values.shape[1], device=values.device)
    order = torch.where(place < lengths[:, None], lengths[:, None] - 1 - place, place)
    return values.gather(1, order[:, :, None].expand_as(values))
