"""Batches of rows that have several windows of tokens each, unpacked into a batch of windows.

Shapes: B rows, W windows in all of them, up to T tokens in a window.
"""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Windows:
    """The windows of a batch."""

    row: torch.Tensor
    """The row of each window (W,)."""
    tokens: torch.Tensor
    """Token ids (W, T), padded with 0."""
    lengths: torch.Tensor
    """Tokens of each window (W,)."""
    segments: torch.Tensor
    """Types of the tokens, in BERT 0 for the question and 1 for the context (W, T); 0 for padding."""
    inside: torch.Tensor
    """Which tokens are not padding (W, T)."""
    context: torch.Tensor
    """Which tokens are part of the context (W, T)."""


def unfolded(batch: dict[str, torch.Tensor]) -> Windows:
    """Return the windows of a batch of rows.

    Args:
        batch: columns `tokens` and `segments` (those of all windows of a row, one after another), `windows` (the length of
            each), `head` and `tail` (the tokens before and after the context).
    """
    lengths = flat(batch, "windows")
    row = torch.arange(len(batch["windows"]), device=lengths.device).repeat_interleave(batch["windows_length"])
    place = torch.arange(int(lengths.max()), device=lengths.device)
    inside = place < lengths[:, None]
    tokens, segments = (spread(flat(batch, name), inside) for name in ("tokens", "segments"))
    context = (place >= batch["head"][row][:, None]) & (place < (lengths - batch["tail"][row])[:, None])
    return Windows(row, tokens, lengths, segments.long(), inside, context)


def flat(batch: dict[str, torch.Tensor], name: str) -> torch.Tensor:
    """Return the values of a ragged column without their padding, one row after another."""
    values = batch[name]
    place = torch.arange(values.shape[1], device=values.device)
    return values[place < batch[f"{name}_length"][:, None]]


def spread(values: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """Put consecutive values where `inside` (W, T) is true, row by row; 0 elsewhere."""
    return values.new_zeros(inside.shape).masked_scatter(inside, values)
