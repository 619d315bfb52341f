"""Training by a solver: no steps and no checkpoints, but a point of the curves for each setting that it tries."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch

from tidemill.tasks.common.learning import Step
from tidemill.tokens.batches import Batches
from tidemill.tracking.points import Point, Report
from tidemill.training.outcome import Outcome

Values = dict[str, float]
"""Numbers by name."""


@dataclass
class _Best:
    """The setting with the lowest validation loss so far."""

    network: torch.nn.Module
    solution: Values = field(default_factory=dict)
    step: int = 0
    weights: dict[str, torch.Tensor] = field(default_factory=dict)

    def offer(self, step: int, solution: Values) -> None:
        """Keep the weights that the network has, if they are better than those kept."""
        if not self.weights or solution["val/loss"] < self.solution["val/loss"]:
            weights = {name: value.clone() for name, value in self.network.state_dict().items()}
            self.step, self.solution, self.weights = step, solution, weights


def solve(
    network: torch.nn.Module, settings: Iterator[Values], measure: Step, rows: dict[str, Batches], report: Report
) -> Outcome:
    """Measure each setting that a solver puts into the network, and keep the one with the lowest validation loss.

    Args:
        measure: returns loss and metrics of a batch.
        settings: puts the weights of the next setting into the network, and yields what that is, by name.
        rows: by `train` and `val`.
        report: called with the points of each setting.
    """
    network.eval()
    started, best = time.monotonic(), _Best(network)
    points: list[Point] = []
    for step, setting in enumerate(settings, 1):
        named = {f"train/{name}": value for name, value in setting.items()}
        for part, batches in rows.items():
            named |= {f"{part}/{name}": value for name, value in _means(network, measure, batches).items()}
        best.offer(step, named)
        now = time.time_ns() // 1_000_000
        points += [Point(name, value, step, now) for name, value in named.items()]
        report(points[-len(named) :])
        shown = " ".join(f"{name} {value:.4g}" for name, value in named.items())
        print(f"setting {step} {shown} · {time.monotonic() - started:.1f} s", flush=True)
    network.load_state_dict(best.weights)
    seconds = max(1e-9, time.monotonic() - started)
    return Outcome(
        network,
        points,
        epochs=step,
        kept_epoch=best.step,
        rows_per_second=step * len(rows["train"].shards) / seconds,
        tokens_per_second=0.0,
        mfu=None,
        device="cpu",
        solution=best.solution,
    )


def _means(network: torch.nn.Module, measure: Step, batches: Batches) -> Values:
    """Return the loss and further metrics of a task, each the mean over all rows."""
    sums: Values = {}
    with torch.inference_mode():
        for batch in batches:
            loss, metrics = measure(network, batch, 0.0)
            for name, value in {"loss": loss, **metrics}.items():
                sums[name] = sums.get(name, 0.0) + float(value) * len(next(iter(batch.values())))
    return {name: total / len(batches.shards) for name, total in sums.items()}
