"""Encoders and decoders of the library that read whole texts, or questions with their contexts."""

import inspect
from functools import cached_property

import torch

from tidemill.models.transformers import configs
from tidemill.models.transformers.wrapped import Wrapped


class Texts(Wrapped):
    """Logits of each text (B, outputs)."""

    def forward(self, tokens: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return logits (B, outputs) for token ids (B, T) and their lengths (B,)."""
        logits: torch.Tensor = self.model(**padded(tokens, lengths, self.padding)).logits
        return logits


class Spans(Wrapped):
    """Logits of each token: of an answer starting and of one stopping there."""

    def forward(
        self, tokens: torch.Tensor, lengths: torch.Tensor, segments: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return logits (B, T, 2) for token ids (B, T), their lengths (B,) and their types (B, T)."""
        inputs = padded(tokens, lengths, self.padding)
        if segments is not None and self._reads_types:
            inputs["token_type_ids"] = segments
        found = self.model(**inputs)
        return torch.stack([found.start_logits, found.end_logits], dim=-1)

    @cached_property
    def _reads_types(self) -> bool:
        named = "token_type_ids" in inspect.signature(self.theirs.forward).parameters
        return named and configs.value(self.config, "type_vocab_size", 2) > 1


def padded(tokens: torch.Tensor, lengths: torch.Tensor, padding: int) -> dict[str, torch.Tensor]:
    """Return token ids (B, T) padded as the library's model reads them, and which of them count."""
    within = torch.arange(tokens.shape[1], device=tokens.device) < lengths[:, None]
    return {"input_ids": tokens.masked_fill(~within, padding), "attention_mask": within.long()}
