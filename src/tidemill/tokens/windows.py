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
    """0 for the question, 1 for the context (W, T)."""
    inside: torch.Tensor
    """Which tokens are not padding (W, T)."""
    context: torch.Tensor
    """Which tokens are part of the context (W, T)."""


def unfolded(batch: dict[str, torch.Tensor]) -> Windows:
    """Return the windows of a batch of rows.

    Args:
        batch: columns `tokens` (all windows of a row, one after another), `windows` (the length of each) and `head` (the
            tokens before the context).
    """
    lengths = flat(batch, "windows")
    row = torch.arange(len(batch["windows"]), device=lengths.device).repeat_interleave(batch["windows_length"])
    place = torch.arange(int(lengths.max()), device=lengths.device)
    inside = place < lengths[:, None]
    after_head = place >= batch["head"][row][:, None]
    tokens = spread(flat(batch, "tokens"), inside)
    segments, context = (after_head & inside).long(), after_head & (place < lengths[:, None] - 1)
    return Windows(row, tokens, lengths, segments, inside, context)


def flat(batch: dict[str, torch.Tensor], name: str) -> torch.Tensor:
    """Return the values of a ragged column without their padding, one row after another."""
    values = batch[name]
    place = torch.arange(values.shape[1], device=values.device)
    return values[place < batch[f"{name}_length"][:, None]]


def spread(values: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """Put consecutive values where `inside` (W, T) is true, row by row; 0 elsewhere."""
    return values.new_zeros(inside.shape).masked_scatter(inside, values)
