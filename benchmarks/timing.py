"""What the benchmarks share: a fresh clone, the wall time of a command, and how measurements are shown."""

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, TypeVar

ROOT = Path(__file__).parents[1]
Result = TypeVar("Result")
Costs = dict[str, list["Cost"]]
"""Of each way, one a round."""


@contextmanager
def fresh_clone() -> Iterator[Path]:
    """A clone of the project as it is committed, in a temporary folder."""
    with TemporaryDirectory() as folder:
        clone = Path(folder) / "tidemill"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        yield clone


def seconds(command: Sequence[str], folder: Path, environment: dict[str, str]) -> float:
    """Wall time of a command that must succeed; what it says is shown if it does not."""
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return time.perf_counter() - start


def with_first_on_path(folder: Path) -> dict[str, str]:
    """The environment of this process, in which a folder's programs come before all others."""
    return os.environ | {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def show(name: str, values: Sequence[float]) -> None:
    """Print median, smallest and largest."""
    print(f"{name:36} median {statistics.median(values):8.2f}  ({min(values):.2f} to {max(values):.2f})", flush=True)


class Cost(NamedTuple):
    """What one way of doing the same took, and the loss that it came to."""

    cpu: float
    """Seconds of this process on all cores: other processes hardly change them."""
    wall: float
    loss: float


def take_turns(ways: Mapping[str, Callable[[], Result]], rounds: int, loss: Callable[[Result], float]) -> Costs:
    """Let the ways take turns; what they come to is measured outside their time."""
    found: Costs = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            cpu, wall = time.process_time(), time.perf_counter()
            result = way()
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            found[name].append(Cost(cpu, wall, loss(result)))
    return found


def compare(found: Costs, tolerance: float) -> None:
    """Print each way beside the first; stop if the losses of equal steps differ by more than the tolerance."""
    first = next(iter(found.values()))
    for name, costs in found.items():
        cpu, wall = [cost.cpu for cost in costs], [cost.wall for cost in costs]
        show(f"{name}, CPU s", cpu)
        show(f"{name}, wall s", wall)
        ratio = statistics.median(cpu) / statistics.median(cost.cpu for cost in first)
        print(f"{'':36} {ratio:.2f} times the first's CPU time; loss {costs[-1].loss:.5f}", flush=True)
    losses = [cost.loss for costs in found.values() for cost in costs]
    if max(losses) - min(losses) > tolerance:
        raise SystemExit(f"the losses differ by {max(losses) - min(losses):.5f}, more than {tolerance}")
    print(f"all losses are within {tolerance}")
