"""What a training leaves: the network, and how it went."""

from dataclasses import dataclass, field
from typing import Any

import torch

from tidemill.core.spec import Spec
from tidemill.tracking.points import Point


@dataclass(frozen=True)
class Outcome:
    """The trained network and how its training went."""

    network: torch.nn.Module
    points: list[Point]
    epochs: int
    """Epochs run, or settings that a solver tried."""
    kept_epoch: int
    """The epoch or setting, counted from 1, whose weights the network has."""
    rows_per_second: float
    tokens_per_second: float
    """Without padding; 0 where the rows are no tokens."""
    mfu: float | None
    """Model FLOPs utilisation, where the device's peak is known."""
    device: str
    """`cpu`, or the name of the GPU."""
    privacy: dict[str, Any] | None = None
    """What of differential privacy was spent; None where nothing is bounded."""
    solution: dict[str, float] = field(default_factory=dict)
    """What a solver found, by name: the setting that was kept, and its metrics."""
    added: Spec = field(default_factory=lambda: Spec())
    """What training adds to the spec: the members of an ensemble; temperature and thresholds, as the validation rows have
    them."""
