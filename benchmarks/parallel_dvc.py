"""The parallel flow beside plain `dvc repro`: wall time of a graph of 60 stages, changed as a whole and cached.

Twenty branches of three stages, each waiting as a stage that trains elsewhere or downloads would, so that what is
measured is the scheduling and not the cores. The ways take turns, in the same repository, in one invocation:

    python benchmarks/parallel_dvc.py --rounds 5 --seconds 1 --jobs 8

The flow uses the Prefect server of PREFECT_API_URL; without one the time to start a temporary one is part of it.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
import yaml

TRAIN = Path(__file__).parents[1] / "flows" / "train.py"
DVC = Path(sys.executable).with_name("dvc")


def main(
    rounds: Annotated[int, typer.Option(min=1)] = 5,
    seconds: Annotated[float, typer.Option(help="How long each stage takes.")] = 1.0,
    jobs: Annotated[int, typer.Option(min=1)] = 8,
) -> None:
    """Print the median wall times and their ratio."""
    ways = {
        "dvc repro": [str(DVC), "repro", "--quiet"],
        "flows/train.py": [sys.executable, str(TRAIN), "--jobs", str(jobs)],
    }
    with tempfile.TemporaryDirectory() as folder:
        _make_repository(Path(folder), seconds)
        changed, cached = _measure(Path(folder), ways, rounds)
    for name, times in (("60 stages changed", changed), ("60 stages cached", cached)):
        medians = {way: median(values) for way, values in times.items()}
        figures = "   ".join(f"{way} {value:.2f} s" for way, value in medians.items())
        print(f"{name}: {figures}   ratio {medians['dvc repro'] / medians['flows/train.py']:.2f}")


def _measure(folder: Path, ways: dict[str, list[str]], rounds: int) -> tuple[dict[str, list[float]], ...]:
    changed: dict[str, list[float]] = {way: [] for way in ways}
    cached: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(rounds):
        for way, command in ways.items():
            (folder / "seed").write_text(f"{number} {way}\n")
            changed[way].append(_time(command, folder))
            cached[way].append(_time(command, folder))
    return changed, cached


def _time(command: list[str], folder: Path) -> float:
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True, env={**os.environ, "DVC_NO_ANALYTICS": "1"})
    return time.perf_counter() - start


def _make_repository(folder: Path, seconds: float) -> None:
    for command in (["git", "init", "--quiet"], [str(DVC), "init", "--quiet"]):
        subprocess.run(command, cwd=folder, check=True)
    branches = list(range(20))
    stages = {
        name: {
            "foreach": branches,
            "do": {
                "cmd": f"sleep {seconds}; cat {source} > {name}.${{item}}",
                "deps": [source],
                "outs": [f"{name}.${{item}}"],
            },
        }
        for name, source in (("first", "seed"), ("second", "first.${item}"), ("third", "second.${item}"))
    }
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))


if __name__ == "__main__":
    typer.run(main)
